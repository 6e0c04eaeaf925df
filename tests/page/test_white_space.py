"""What is written is what is kept, shown and sent: no framework's cleaning changes a text of the conversation."""

from collections.abc import Iterator
from typing import Any

import gradio as gr
import pytest

from hfchat.page.chat_interface import ChatPage
from hfchat.page.history import messages_for_model, messages_to_show, with_whole_reply
from hfchat.page.markdown_splitter import MarkdownSplitter
from hfchat.types import Message
from tests.conftest import RunningApp, page_client
from tests.support.exact_texts import EXACT_TEXTS
from tests.support.stub_upstream import StubUpstream, reply

TABLE = pytest.mark.parametrize("text", EXACT_TEXTS.values(), ids=EXACT_TEXTS)


def answer(text: str, history: list[object]) -> Iterator[str]:
    yield text


async def made() -> ChatPage:
    """The chat. Async: where no event loop runs, Gradio makes one and leaves it open."""
    with gr.Blocks():
        return ChatPage(answer)


def shown(chat: ChatPage, history: list[Any]) -> list[Any]:
    """The conversation as the browser gets it, and gives it back."""
    chatbot = chat.chatbot
    sent = chatbot.data_model.model_validate_json(chatbot.postprocess(history).model_dump_json())
    kept: list[Any] = chatbot.preprocess(sent)
    return kept


def texts(history: list[Any]) -> list[str]:
    return ["".join(part["text"] for part in entry["content"]) for entry in history]


@pytest.mark.anyio
@TABLE
async def test_each_way_into_the_conversation_leaves_a_text_as_it_is(text: str) -> None:
    chat = await made()
    asked, state = chat._show_question(text, [])
    assert state == []
    assert texts(shown(chat, asked)) == [text]
    for said in (text, [{"role": "assistant", "content": text}], gr.ChatMessage(role="assistant", content=text)):
        history = shown(chat, chat._append_message_to_history(said, asked, "assistant"))
        assert texts(history) == [text, text]
    assert texts(shown(chat, messages_to_show(history))) == [text, text]
    taken_back = chat._take_back(history, gr.EventData(None, {"index": 1, "value": text}))
    assert taken_back == ([], text)
    edited = chat._take_back(history, gr.EventData(None, {"index": 0, "value": text, "previous_value": "x"}))
    assert edited == ([], text)


@TABLE
def test_a_model_is_sent_it_as_it_is(text: str) -> None:
    history = messages_to_show([{"role": role, "content": text} for role in ("user", "assistant")])
    assert messages_for_model(history) == [Message("user", text), Message("assistant", text)]


@TABLE
def test_a_reply_that_was_stopped_is_the_same_in_one_as_in_pieces(text: str) -> None:
    splitter, whole = MarkdownSplitter(), f"{text}\n\n{'a word ' * 400}\n\n" * 3 + text
    splitter.add(whole)
    pieces = [*splitter.done, splitter.last]
    assert len(pieces) > 1
    question = {"role": "user", "content": "Say it."}
    stopped = [question, *({"role": "assistant", "content": piece} for piece in pieces)]
    assert texts(with_whole_reply(stopped)[1:]) == [whole]
    assert messages_for_model(stopped) == messages_for_model(with_whole_reply(stopped))


def test_only_a_reply_in_pieces_is_joined() -> None:
    said = [{"role": "assistant", "content": "a"}, {"role": "assistant", "content": "b"}]
    noted = [*said, {"role": "assistant", "content": "c", "metadata": {"id": "hfchat-cut"}}]
    for history in ([], said[:1], noted, [*said, {"role": "user", "content": "x"}]):
        assert with_whole_reply(history) is history
    thought = {"role": "assistant", "content": "hm", "metadata": {"title": "Reasoning"}}
    assert with_whole_reply([thought, *said])[0] is thought
    # As browsers have it that kept the pieces without the empty lines between them.
    assert texts(with_whole_reply(said)) == ["a\n\nb"]


def test_over_the_wire_a_program_gets_and_sends_it_as_it_is(stub_app: RunningApp, stub: StubUpstream) -> None:
    client = page_client(stub_app)
    try:
        for text in EXACT_TEXTS.values():
            stub.answer = lambda _, text=text: reply([text])  # type: ignore[misc]
            said = client.predict(text, api_name="/chat")
            assert said == text
            assert stub.requests[-1]["messages"][-1] == {"role": "user", "content": text}
        # What was said before is sent with the next question.
        sent = [(message["role"], message["content"]) for message in stub.requests[-1]["messages"][:-1]]
        assert sent == [(role, text) for text in list(EXACT_TEXTS.values())[:-1] for role in ("user", "assistant")]
    finally:
        client.close()
