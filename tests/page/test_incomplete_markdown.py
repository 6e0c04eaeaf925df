"""A reply that grows never shows half a mark, and never takes back what it showed."""

from hypothesis import given
from hypothesis import strategies as st

from hfchat.page.incomplete_markdown import MAX_LINE_CHARS, without_half_mark
from tests.support.rows import each_row

HALVES = {
    "bold": ("a **", "a "),
    "bold that ends": ("a **b*", "a **b"),
    "code": ("a `", "a "),
    "a fence": ("a\n\n``", "a\n\n"),
    "struck out": ("a ~~b~", "a ~~b"),
    "a link": ("a [", "a "),
    "a tag": ("a <", "a "),
    "a price": ("US$", "US"),
    "a formula": ("so \\", "so "),
    "a title": ("a\n##", "a\n"),
    "a title's space": ("a\n## ", "a\n"),
    "a list": ("a\n-", "a\n"),
    "a list in a list": ("- a\n  - ", "- a\n"),
    "a star": ("a\n* ", "a\n"),
    "a number": ("a\n1", "a\n"),
    "a numbered item": ("a\n12.", "a\n"),
    "another": ("a\n1) ", "a\n"),
    "a quotation": ("a\n> ", "a\n"),
    "a list in one": ("a\n> - ", "a\n"),
    "a line below": ("Title\n==", "Title\n"),
    "the only one": ("#", ""),
    "a table's first sign": ("a\n|", "a\n"),
    "a table's head": ("a\n| b | c", "a\n"),
    "a table's head with its end": ("a\n| b | c |\n", "a\n"),
    "a table's second line": ("a\n| b | c |\n|-", "a\n"),
    "a table at the beginning": ("| b | c |\n|---|--", ""),
}


@each_row(("text", "shown"), HALVES.values(), ids=HALVES)
def test_half_a_mark_is_not_shown(text: str, shown: str) -> None:
    assert without_half_mark(text) == shown


WHOLE = {
    "words": "It is so.",
    "an empty line": "a\n\n",
    "a title": "# a",
    "an item": "a\n- b",
    "a year": "a\n1984 was",
    "more than a number": "a\n1.5",
    "a long number": "a\n1234567890",
    "a table": "| a |\n|-|\n",
    "a table's row": "| a |\n|-|\n| b",
    "lines with signs that are no table": "| a |\n| b",
    "a head that is too wide": f"| {'a' * MAX_LINE_CHARS}",
    "bold": "**a**b",
}


@each_row("text", WHOLE.values(), ids=WHOLE)
def test_what_is_whole_is_shown(text: str) -> None:
    assert without_half_mark(text) == text


@given(st.text(st.sampled_from("a1 \n|-*#$`[<=>.")))
def test_what_was_shown_stays(text: str) -> None:
    shown = ""
    for end in range(len(text) + 1):
        before, shown = shown, without_half_mark(text[:end])
        assert text.startswith(shown)
        assert shown.startswith(before)
