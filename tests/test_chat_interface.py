"""Which turns were stopped before their first word, and what becomes of them."""

from typing import Any

import pytest

from hfchat.page_history import CUT_ID, MAX_SHOWN_CHARS, NOTICE_ID, WAIT_ID, sendable
from hfchat.page_stop import with_stop
from hfchat.page_texts import CHAT


def said(role: str, text: str, **metadata: str) -> dict[str, Any]:
    """A message as Gradio gives it."""
    return {"role": role, "content": [{"type": "text", "text": text}], "metadata": metadata or None, "options": None}


BEFORE = [said("user", "one"), said("assistant", "first")]
ASKED = said("user", "two")
STOPPED = {
    "nothing came": [],
    "a pulse": [said("assistant", "")],
    "white space": [said("assistant", "\n")],
    "it was waited for": [said("assistant", "Waiting for `m`…", id=WAIT_ID)],
    "it thought": [said("assistant", "hm", title="Thinking…", status="pending")],
}
OTHERS = {
    "an answer": [said("assistant", "second")],
    "half an answer": [said("assistant", "hm", title="Reasoning", status="done"), said("assistant", "sec")],
    "a failure": [said("assistant", "⚠️", id=NOTICE_ID)],
    "a cut": [said("assistant", "hm", title="Reasoning", status="done"), said("assistant", "✂️", id=CUT_ID)],
    "thoughts alone": [said("assistant", "hm", title="Reasoning", status="done")],
}


@pytest.mark.parametrize("came", STOPPED.values(), ids=STOPPED)
def test_a_turn_that_was_stopped_says_so(came: list[dict[str, Any]]) -> None:
    *before, notice = with_stop([*BEFORE, ASKED, *came], "es")
    assert CHAT["es"]["stopped"] in notice["content"]
    assert notice["metadata"] == {"id": NOTICE_ID}
    assert before[:2] == BEFORE
    assert before[2]["content"] == ASKED["content"]
    assert before[3:] in ([], came, [said("assistant", "hm", title="Reasoning", status="done")])
    assert [message.content for message in sendable([*before, notice])] == ["one", "first"]


def test_a_question_that_is_too_long_to_restore_stays() -> None:
    asked = said("user", "a" * (MAX_SHOWN_CHARS + 1))
    assert with_stop([*BEFORE, asked], "en")[:3] == [*BEFORE, asked]


@pytest.mark.parametrize("came", OTHERS.values(), ids=OTHERS)
def test_any_other_turn_stays_as_it_is(came: list[dict[str, Any]]) -> None:
    history = [*BEFORE, ASKED, *came]
    assert with_stop(history, "en") is history
    assert with_stop([], "en") == []
