"""A long reply in pieces: together they are the reply, each ends where a block ends, and the last stays short."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hfchat.chat.retries import Attempt
from hfchat.page.history import messages_for_model
from hfchat.page.markdown_splitter import PIECE_CHARS, MarkdownSplitter
from hfchat.page.reply_view import ReplyView
from hfchat.types import Delta, Finish
from tests.support.rows import each_row

LONG = "a word " * 100


def pieces_of(*texts: str) -> MarkdownSplitter:
    pieces = MarkdownSplitter()
    for text in texts:
        pieces.add(text)
    return pieces


@given(st.lists(st.text(st.sampled_from("a \n`~$\\[]-#|1."), max_size=400)), st.integers(1, 30))
def test_together_they_are_what_came(texts: list[str], times: int) -> None:
    pieces = pieces_of(*texts * times)
    assert pieces.whole() == "".join(texts * times)
    assert all(piece.strip() or not piece for piece in pieces.done) or not "".join(texts).strip()


def test_the_last_one_stays_short_however_long_the_reply_gets() -> None:
    pieces = pieces_of(*[f"{LONG}\n\n"] * 100)
    assert len(pieces.last) <= PIECE_CHARS + len(LONG) + 2
    assert all(len(piece) <= PIECE_CHARS + len(LONG) + 2 for piece in pieces.done)
    assert len(pieces.done) > 30


def test_a_short_reply_is_one() -> None:
    assert pieces_of("one\n\n", "two\n\nthree").done == []


@each_row(
    "block",
    [
        "```python\na = 1\n\n" + "b = 2\n\n" * 400 + "```",
        "```markdown\n# T\n\n```bash\nls\n\n```\n\n" + "more\n\n" * 400 + "```",
        "```\n\n```bash\nls\n```\n\n" + "more\n\n" * 400 + "```",
        "~~~~\n```\n\n" + "still inside\n\n~~~\n\n" * 200 + "~~~~",
        "$$\na\n\n" + "b \\\\\n\n" * 400 + "$$",
        "\\[\na\n\n" + "b \\\\\n\n" * 400 + "\\]",
        "- an item\n\n" + "  and more of it\n\n" * 300,
        "1. an item\n\n" + "       code in it\n\n" * 300,
    ],
)
def test_a_block_is_not_parted(block: str) -> None:
    pieces = pieces_of(f"{LONG}\n\n{block}")
    assert block in ("".join(pieces.done), pieces.last) or block.strip() in pieces.last
    after = pieces_of(f"{LONG}\n\n{block}\n\nThe end, and {LONG * 4}\n\nmore.")
    assert any(block.strip() in piece for piece in (*after.done, after.last))


def test_it_may_come_sign_by_sign() -> None:
    text = f"{LONG}\n\n```\n{LONG}\n\n{LONG}\n```\n\n# A title\n\n{LONG}\n\n" * 5
    signs, at_once = pieces_of(*text), pieces_of(text)
    assert signs.whole() == at_once.whole() == text
    assert all(piece.count("```") % 2 == 0 for piece in (*signs.done, *at_once.done))
    assert len(signs.done) > 3


@pytest.mark.parametrize("ends", [True, False])
def test_it_is_shown_in_pieces_until_it_ends_and_then_as_one(ends: bool) -> None:
    shown = ReplyView("en")
    shown.trying(Attempt("m"))
    text = f"{LONG}\n\n" * 20
    for _ in range(20):
        shown.add(Delta(f"{LONG}\n\n"))
        growing = [message["content"] for message in shown.messages()]
    assert len(growing) > 4
    assert "".join(growing) == text
    assert shown.growing_chars == len(growing[-1]) <= PIECE_CHARS + len(LONG) + 2
    if ends:
        shown.add(Finish("m"))
    assert [message["content"] for message in shown.messages(final=not ends)] == [text]


def test_a_dollar_sign_is_shown_with_what_comes_after_it() -> None:
    """At the end of the text it would end a formula that begins with the price before it."""
    shown = ReplyView("en")
    shown.trying(Attempt("m"))
    for said, seen in (("$30, or US$", "$30, or US"), ("8. A $", "$30, or US$8. A "), ("x$", "$30, or US$8. A $x")):
        shown.add(Delta(said))
        assert [message["content"] for message in shown.messages()] == [seen]
    assert [message["content"] for message in shown.messages(final=True)] == ["$30, or US$8. A $x$"]


def test_one_that_was_stopped_goes_to_the_model_as_one() -> None:
    pieces = ["One.", "Two.", "Three.  "]
    history = [{"role": "user", "content": "Say it."}, *({"role": "assistant", "content": piece} for piece in pieces)]
    assert [message.content for message in messages_for_model(history)] == ["Say it.", "One.\n\nTwo.\n\nThree.  "]
