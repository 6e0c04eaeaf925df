"""A turn of the page: what the visitor wrote goes to the core, and what comes back is shown as it grows.

A failed turn is shown, never raised: an exception would disable the page's text box until it is loaded anew.
"""

import asyncio
import secrets
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing, suppress
from typing import Any

import gradio as gr

from hfchat.chat import Chat
from hfchat.errors import HfchatError
from hfchat.page_history import CUT_ID, sendable
from hfchat.page_notice import aside, notice
from hfchat.texts import PAGE, Language, language_of
from hfchat.types import ADMIN_SCOPE, Caller, ChatRequest, Delta, Finish, Message

# A reader sees no more than this, and each yield makes Gradio work through the whole conversation.
SHOW_EVERY_S = 0.06
# Gradio notices a closed tab only when something is yielded.
PULSE_S = 1.0


def responder(chat: Chat) -> Callable[..., AsyncGenerator[Any, None]]:
    """The function of the page's `gr.ChatInterface`."""

    async def respond(message: str, history: list[Any], request: gr.Request) -> AsyncGenerator[Any, None]:
        """Answer the message. Gives what there is of the reply, again and again, as it grows.

        A text; a list of messages where there is more to it: what the model thought aloud, or a notice of failure.
        """
        caller: Caller = request.request.state.caller
        language = language_of(request.headers.get("accept-language", ""))
        request_id = secrets.token_hex(8)
        asked = ChatRequest((*sendable(history), Message("user", message or "")))
        shown = _Shown(language)
        try:
            async with aclosing(_paced(chat.stream(caller, asked, request_id=request_id), shown)) as paces:
                async for _ in paces:
                    messages = shown.messages()
                    yield messages[0]["content"] if len(messages) == 1 and "metadata" not in messages[0] else messages
            if shown.cut_at_its_limit:
                yield [*shown.messages(final=True), aside(PAGE[language]["cut_at_limit"], CUT_ID)]
        except HfchatError as error:
            yield [*shown.messages(final=True), notice(error, language, request_id, ADMIN_SCOPE in caller.scopes)]

    return respond


class _Shown:
    """The reply as far as it has come, as Gradio's messages."""

    def __init__(self, language: Language) -> None:
        self._language = language
        self._content: list[str] = []
        self._reasoning: list[str] = []
        self.cut_at_its_limit = False

    def add(self, part: Delta | Finish) -> None:
        if isinstance(part, Finish):
            self.cut_at_its_limit = part.finish_reason == "length"
        else:
            self._content.append(part.content)
            self._reasoning.append(part.reasoning)

    def messages(self, *, final: bool = False) -> list[dict[str, Any]]:
        content, reasoning = "".join(self._content), "".join(self._reasoning)
        self._content, self._reasoning = [content], [reasoning]
        shown: list[dict[str, Any]] = []
        if reasoning:
            status = "done" if content or final else "pending"
            metadata = {"title": PAGE[self._language]["thinking"], "status": status}
            shown.append({"role": "assistant", "content": reasoning, "metadata": metadata})
        if content or not (shown or final):
            shown.append({"role": "assistant", "content": content})
        return shown


async def _paced(turn: AsyncGenerator[Delta | Finish, None], shown: _Shown) -> AsyncGenerator[None, None]:
    """Read the turn in a task of its own and say when to show what came: not too often, and once a second in any case."""
    news = asyncio.Event()

    async def read() -> None:
        try:
            async with aclosing(turn):
                async for part in turn:
                    shown.add(part)
                    news.set()
        finally:
            news.set()

    reading = asyncio.create_task(read())
    try:
        while not reading.done():
            # Not `asyncio.wait_for`: before Python 3.12 it may swallow a cancellation.
            with suppress(TimeoutError):
                async with asyncio.timeout(PULSE_S):
                    await news.wait()
            news.clear()
            yield
            if not reading.done():
                await asyncio.wait({reading}, timeout=SHOW_EVERY_S)
        await reading
        yield
    finally:
        reading.cancel()
        with suppress(asyncio.CancelledError, HfchatError):
            await reading
