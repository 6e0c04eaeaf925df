"""The steps of a turn on the page, and what becomes of a turn that was stopped before its first word."""

from collections.abc import Iterator
from typing import Any

import gradio as gr
import pytest

from hfchat.i18n.sentences import CHAT
from hfchat.page.chat_interface import TURN_ID, ChatPage, with_stop
from hfchat.page.history import (
    CUT_ID,
    MAX_SHOWN_CHARS,
    NOTICE_ID,
    REPLY_PICTURES_ID,
    SOURCES_ID,
    WAIT_ID,
    cut_reply,
    messages_for_model,
    page_note,
    split_reply,
)
from tests.support.rows import each_row

# What `ChatPage` uses of `gr.ChatInterface` that Gradio promises to nobody.
METHODS = (
    "_setup_events",
    "_append_message_to_history",
    "_message_as_message_dict",
    "_pop_last_user_message",
    "_api_wrapper",
    "_stream_fn",
)
PARTS = ("chatbot", "textbox", "chatbot_state", "saved_input", "null_component", "fake_api_btn", "api_response")


def answer(text: str, history: list[object], continued: object = None) -> Iterator[str]:
    yield text


async def made() -> tuple[ChatPage, list[Any]]:
    """The chat and its events. Async: where no event loop runs, Gradio makes one and leaves it open."""
    with gr.Blocks() as page:
        chat = ChatPage(answer)
    return chat, list(page.default_config.fns.values())


@pytest.mark.anyio
async def test_this_gradio_has_what_the_page_rests_on() -> None:
    missing = [name for name in METHODS if not callable(getattr(gr.ChatInterface, name, None))]
    assert not missing, (
        f"gr.ChatInterface of this Gradio has no {missing}: hfchat's chat_interface.py has to be adapted"
    )
    chat, _ = await made()
    missing = [name for name in PARTS if not hasattr(chat, name)]
    assert not missing, (
        f"a gr.ChatInterface of this Gradio has no {missing}: hfchat's chat_interface.py has to be adapted"
    )


@pytest.mark.anyio
async def test_a_turn_closes_a_button_instead_of_the_box() -> None:
    chat, events = await made()
    turn = chat._turn
    assert turn.elem_id == TURN_ID
    begins, *others = [event for event in events if turn in event.outputs]
    # A question, the end of its turn; Retry, and Continue, and the ends of theirs.
    assert begins.fn("a question") == ("", "a question", gr.update(interactive=False))
    assert begins.outputs == [chat.textbox, chat.saved_input, turn]
    assert sorted(str(event.fn()) for event in others) == sorted(
        str(gr.update(interactive=open_)) for open_ in (True, False, True, False, True)
    )
    assert all(event.outputs == [turn] for event in others)


@pytest.mark.anyio
async def test_an_edited_question_is_asked_again_by_the_steps_of_retry_and_both_can_be_stopped() -> None:
    chat, events = await made()
    both = [(chat.chatbot._id, "retry"), (chat.chatbot._id, "edit")]
    assert [event.outputs for event in events if event.targets == both] == [
        [chat.chatbot_state, chat.saved_input],
        [chat.textbox],
    ]
    turns = [event for event in events if event.outputs == [chat.null_component, chat.chatbot]]
    (stop,) = [event for event in events if event.cancels]
    assert [event._id for event in turns] == list(stop.cancels)
    assert len(turns) == 3


@pytest.mark.anyio
async def test_no_step_marks_the_conversation_as_busy_but_a_turn_and_nothing_is_kept_by_gradio() -> None:
    chat, events = await made()
    marking = [event for event in events if chat.chatbot in (event.show_progress_on or event.outputs)]
    assert all(event.outputs == [chat.null_component, chat.chatbot] for event in marking)
    assert all(chat.conversation_id not in event.outputs for event in events)


HISTORY = [
    {"role": "user", "content": [{"type": "text", "text": "one"}]},
    {"role": "assistant", "content": [{"type": "text", "text": "first"}]},
    {"role": "user", "content": [{"type": "text", "text": "two"}]},
    {"role": "assistant", "content": [{"type": "text", "text": "second"}]},
]
TAKEN_BACK: dict[str, tuple[dict[str, Any] | None, int, str]] = {
    "retry": ({"index": 3, "value": "second"}, 2, "two"),
    "an edit of the first": ({"index": 0, "value": "uno", "previous_value": "one"}, 0, "uno"),
    "an edit of the last": ({"index": 2, "value": "dos", "previous_value": "two"}, 2, "dos"),
    "a forged place": ({"index": -1, "value": "x", "previous_value": "two"}, 2, "two"),
    "a forged value": ({"index": 0, "value": ["x"], "previous_value": "two"}, 2, "two"),
    "nothing": (None, 2, "two"),
}


@pytest.mark.anyio
@pytest.mark.parametrize(("data", "stays", "question"), TAKEN_BACK.values(), ids=TAKEN_BACK)
async def test_what_is_asked_again(data: dict[str, Any] | None, stays: int, question: str) -> None:
    chat, _ = await made()
    assert chat._take_back(HISTORY, gr.EventData(None, data)) == (HISTORY[:stays], question)


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
    assert [message.content for message in messages_for_model([*before, notice])] == ["one", "first"]


def test_a_question_that_is_too_long_to_restore_stays() -> None:
    asked = said("user", "a" * (MAX_SHOWN_CHARS + 1))
    assert with_stop([*BEFORE, asked], "en")[:3] == [*BEFORE, asked]


@pytest.mark.parametrize("came", OTHERS.values(), ids=OTHERS)
def test_any_other_turn_stays_as_it_is(came: list[dict[str, Any]]) -> None:
    history = [*BEFORE, ASKED, *came]
    assert with_stop(history, "en") is history
    assert with_stop([], "en") == []


THOUGHT = {"role": "assistant", "content": "hm", "metadata": {"title": "Thinking…", "status": "pending"}}
CUT_NOTE = {"role": "assistant", "content": "cut", "metadata": {"id": CUT_ID}}
PARTS_OF_A_REPLY = {
    "nothing": ([], [], [], ""),
    "no reply": (HISTORY[:3], HISTORY[:2], [], ""),
    "a reply": ([*HISTORY, CUT_NOTE], HISTORY[:2], [], "second"),
    "in pieces": ([*HISTORY, HISTORY[3]], HISTORY[:2], [], "second\n\nsecond"),
    "with a thought": ([*HISTORY[:3], THOUGHT, HISTORY[3]], HISTORY[:2], ["done"], "second"),
    "only a thought": ([*HISTORY[:3], THOUGHT, CUT_NOTE], HISTORY[:2], ["done"], ""),
}


@each_row(("history", "before", "thoughts", "said"), PARTS_OF_A_REPLY.values(), ids=PARTS_OF_A_REPLY)
def test_what_there_is_of_a_reply_that_is_continued(
    history: list[Any], before: list[Any], thoughts: list[str], said: str
) -> None:
    stands, question, reply = cut_reply(history)
    assert (stands, question) == (before, "two" if history else "")
    kept, notes, text = split_reply(reply)
    assert notes == []
    assert ([entry["metadata"]["status"] for entry in kept], text) == (thoughts, said)


def test_a_reply_that_is_continued_keeps_its_sources_and_pictures() -> None:
    notes = [page_note("[a](<https://a.org>)", SOURCES_ID), page_note("a picture", REPLY_PICTURES_ID)]
    _, _, reply = cut_reply([*HISTORY[:3], THOUGHT, HISTORY[3], *notes, CUT_NOTE])
    thoughts, kept, text = split_reply(reply)
    assert (len(thoughts), kept, text) == (1, notes, "second")
