"""The continued of a continued reply: one text, without repeated words, lost spaces or a blank line."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hfchat.page.continued_reply import MAX_OVERLAP_CHARS, ContinuedReply, in_code
from tests.support.rows import each_row

CONTINUED = {
    "half a word is written anew": ("I like inter", "interesting things", "I like interesting things"),
    "half a word goes on": ("Hel", "lo", "Hello"),
    "half a word that is another": ("I came to", "day", "I came today"),
    "the next item": ("1. one\n2. two", "3. three", "1. one\n2. two\n3. three"),
    "the next item of a list in a list": ("- a\n  - b", "  - c", "- a\n  - b\n  - c"),
    "a dash in a sentence": ("x - y", "- z", "x - y- z"),
    "the next row": ("|a|\n|-|\n|1|", "|2|", "|a|\n|-|\n|1|\n|2|"),
    "the rest of a row": ("|a|b|\n|-|-|\n|1", "|2|", "|a|b|\n|-|-|\n|1|2|"),
    "a table with its head anew": ("|a|\n|-|\n|1|\n", "|a|\n|-|\n|2|", "|a|\n|-|\n|1|\n|2|"),
    "code with its fence anew, from a new line on": (
        "```py\nif x:",
        "```py\n    y()\n```",
        "```py\nif x:\n    y()\n```",
    ),
    "a word repeated": ("I like the", "the sea", "I like the sea"),
    "a word without its space": ("I like the", "sea", "I like the sea"),
    "a word that begins like the last": ("I like the", "then", "I like the then"),
    "a word with its space": ("one two", " three", "one two three"),
    "a number goes on": ("costs 1", "0 euros", "costs 10 euros"),
    "a space in front": ("I like the ", " sea", "I like the sea"),
    "the end is repeated": ("The cat sat on the ", "sat on the mat.", "The cat sat on the mat."),
    "all is repeated": ("Once upon a time ", "Once upon a time there was", "Once upon a time there was"),
    "an ellipsis": ("We went to ", "… the sea", "We went to the sea"),
    "dots further on": (
        "The cat sat",
        " on the mat. Then he said... well, no.",
        "The cat sat on the mat. Then he said... well, no.",
    ),
    "after a sentence": ("It rains.", "Then it stops.", "It rains. Then it stops."),
    "a blank line in front": ("One.\n\n", "\n\nTwo.", "One.\n\nTwo."),
    "a blank line within a sentence": ("red, ", "\n\ngreen", "red, green"),
    "a blank line after a comma": ("red,", "\n\ngreen", "red, green"),
    "a new paragraph": ("It rains.", "\n\nThen", "It rains.\n\nThen"),
    "a list goes on": ("- one\n", "- two\n", "- one\n- two\n"),
    "the next line of a list": ("1. Apples\n2. Pears", "\n3. Plums", "1. Apples\n2. Pears\n3. Plums"),
    "a list after a sentence": ("We need", "\n\n- one", "We need\n\n- one"),
    "a paragraph after a heading": ("## Method", "\n\nWe took ten samples.", "## Method\n\nWe took ten samples."),
    "a line of a poem": ("Roses are red", "\nViolets are blue", "Roses are red\nViolets are blue"),
    "code keeps its indent": ("```py\ndef f():\n", "    return 1\n```", "```py\ndef f():\n    return 1\n```"),
    "code is fenced again": ("```py\na = 1\n", "```py\nb = 2\n```", "```py\na = 1\nb = 2\n```"),
    "code is closed": ("```py\na = 1\n", "```\nDone.", "```py\na = 1\n```\nDone."),
    "code has no space": ("```py\nobj.", "run()", "```py\nobj.run()"),
    "Chinese": ("我喜欢吃苹果和", "苹果和香蕉", "我喜欢吃苹果和香蕉"),
    "Chinese, nothing repeated": ("我喜欢吃", "苹果", "我喜欢吃苹果"),
    "a short chance": ("x on ", "one", "x on one"),
    "nothing is added": ("I like inter", " \n", "I like inter"),
    "only repetition": ("I like the sea ", "the sea", "I like the sea "),
    "no first part": ("", "hello", "hello"),
}


@each_row(("partial", "added", "whole"), CONTINUED.values(), ids=CONTINUED)
def test_both_parts_are_one_text(partial: str, added: str, whole: str) -> None:
    assert ContinuedReply(partial).joined(added, whole=True) == whole


def test_what_may_be_a_repetition_is_held_back_until_it_is_known() -> None:
    continued = ContinuedReply("The cat sat on the ")
    assert [continued.joined(added) for added in ("", "sat", "sat on", "sat on the mat")] == [
        *["The cat sat on the "] * 3,
        "The cat sat on the mat",
    ]


FENCES = {
    "none": ("a", False),
    "open": ("```\na", True),
    "closed": ("```\na\n```\n", False),
    "inner": ("````\n```\n", True),
}


@pytest.mark.parametrize(("text", "inside"), FENCES.values(), ids=FENCES)
def test_whether_a_text_ends_in_code(text: str, inside: bool) -> None:
    assert in_code(text) == inside


@given(st.text(), st.text())
def test_no_text_breaks_it_and_the_first_part_stays(partial: str, added: str) -> None:
    continued = ContinuedReply(partial)
    assert continued.joined(added, whole=True).startswith(partial)


def test_a_long_reply_is_joined_fast_enough_to_be_shown_while_it_grows() -> None:
    continued = ContinuedReply("ab " * 50_000)
    assert continued.joined("ab " * (MAX_OVERLAP_CHARS // 3 + 10), whole=True).startswith(continued.partial)


def test_spaces_take_linear_time() -> None:
    def seconds(length: int) -> float:
        added = "a" + " " * length + "b"
        began = time.process_time()
        ContinuedReply("The cat sat").joined(added, whole=True)
        return time.process_time() - began

    # What is quadratic takes 64 times as long; the floor leaves room for a busy machine.
    assert min(seconds(80_000) for _ in range(3)) < 24 * max(min(seconds(10_000) for _ in range(3)), 0.001)
