"""The chat page: a `gr.ChatInterface` on the same core as the API.

A failed turn is shown, never raised: an exception would disable the page's text box until it is loaded anew.
"""

import asyncio
import logging
import re
import secrets
import sys
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing, suppress
from html import escape
from typing import Any

import gradio as gr
from fastapi import FastAPI
from gradio import queueing, route_utils, routes
from starlette.requests import Request as StarletteRequest

from hfchat.chat import Chat
from hfchat.error_body import say
from hfchat.error_texts import DETAILS
from hfchat.errors import HfchatError
from hfchat.ledger import Allowance, Standing
from hfchat.logs import log_crash
from hfchat.page_head import CSS, SCRIPT
from hfchat.page_history import CUT_ID, NOTICE_ID, sendable
from hfchat.texts import PAGE, Language, language_of, spoken
from hfchat.types import ADMIN_SCOPE, Caller, ChatRequest, Delta, Finish, Message

logger = logging.getLogger(__name__)

# A reader sees no more than this, and each yield makes Gradio work through the whole conversation.
SHOW_EVERY_S = 0.06
# Gradio notices a closed tab only when something is yielded.
PULSE_S = 1.0
# What a provider says is shown as it is written.
_MARKDOWN = re.compile(r"([\\`*_{}\[\]()#+!|<>$~&:@])")
_LATEX = [
    {"left": left, "right": right, "display": display}
    for left, right, display in (("$$", "$$", True), ("\\[", "\\]", True), ("\\(", "\\)", False), ("$", "$", False))
]


def mount_page(app: FastAPI, chat: Chat, *, public_url: str | None) -> None:
    """Mount the page at `/`. Every request that reaches it has passed the gate."""
    page = _build(chat)
    # Without these every chat takes one of 40 threads, and one chat runs at a time.
    page.max_threads = 500
    page.queue(default_concurrency_limit=None, api_open=False)
    # How often Gradio looks whether an event waits; every millisecond, as it is, costs 5 % of a core with nobody there.
    page._queue.sleep_when_free = 0.005
    page.state_session_capacity = 2000
    gr.mount_gradio_app(
        app,
        page,
        "/",
        root_path=public_url,
        auth_dependency=_signed_in,
        app_kwargs={"openapi_url": None},
        footer_links=[],
        show_error=False,
        max_file_size=1,
        ssr_mode=False,
        mcp_server=False,
        enable_monitoring=False,
        run_history=False,
        pwa=False,
        i18n=_translations(),
        head=SCRIPT,
        css=CSS,
        theme=gr.themes.Default(
            primary_hue="blue", font=("system-ui", "sans-serif"), font_mono=("ui-monospace", "monospace")
        ),
    )
    for module in (queueing, route_utils, routes):
        module.traceback = _Crashes
    # Until this is set, Gradio serves any file of this machine to whoever asks; mounting alone does not set it.
    page.has_launched = True


class _Crashes:
    """Stands for `traceback` in Gradio, which prints exceptions with what people wrote in them, and knows no switch for it."""

    @staticmethod
    def print_exc() -> None:
        crash = sys.exception()
        if crash is not None:
            log_crash(logger, crash)


def _signed_in(request: StarletteRequest) -> str | None:
    """The second lock, behind the gate: Gradio's own routes ask for a user name."""
    caller: Caller | None = getattr(request.state, "caller", None)
    return caller.subject if caller else None


def _translations() -> Any:
    # With a prefix of ours: Gradio has texts of its own under some of these names.
    keys = ("placeholder", "conversation", "greeting")
    return gr.I18n(**{language: {f"hfchat_{key}": PAGE[language][key] for key in keys} for language in PAGE})


def _build(chat: Chat) -> gr.Blocks:
    i18n = _translations()
    with gr.Blocks(title="hfchat", fill_height=True, analytics_enabled=False) as page:
        who = gr.Markdown(elem_id="hfchat-who", sanitize_html=False, latex_delimiters=[])
        gr.ChatInterface(
            _responder(chat),
            api_name="chat",
            concurrency_limit=None,
            flagging_mode="never",
            save_history=False,
            show_progress="hidden",
            chatbot=gr.Chatbot(
                label=i18n("hfchat_conversation"),
                placeholder=i18n("hfchat_greeting"),
                buttons=["copy"],
                latex_delimiters=_LATEX,
                scale=1,
                allow_tags=True,  # tags that HTML does not know are shown as they are written: `List<String>`
                reasoning_tags=[("<think>", "</think>")],
                show_label=False,
                feedback_options=None,
            ),
            textbox=gr.Textbox(
                show_label=False,
                label=i18n("hfchat_placeholder"),
                placeholder=i18n("hfchat_placeholder"),
                scale=7,
                autofocus=True,
                submit_btn=True,
                stop_btn=True,
                max_lines=12,
            ),
        )
        # The page's script presses it after each turn.
        turn_ended = gr.Button(elem_id="hfchat-turn-ended")
        gr.on(
            [page.load, turn_ended.click],
            _who_is_here,
            None,
            who,
            queue=False,
            show_progress="hidden",
            api_visibility="private",
        )
    return page


def _who_is_here(request: gr.Request) -> str:
    language = _language(request)
    texts = PAGE[language]
    subject = escape(request.username or "")
    said = texts["signed_in_as"].format(subject=f"<strong>{subject}</strong>")
    standing: Standing = request.request.state.standing
    left = "".join(
        f' · <span class="hfchat-left">{texts[key].format(**_spoken(allowance, language))}</span>'
        for key, allowance in (("left_of_rate", standing.rate), ("left_of_budget", standing.budget))
        if allowance is not None
    )
    # One HTML block: what stands inside is not read as Markdown, so a name is never a link.
    return f'<div>{said}{left} · <form method="post" action="/logout"><button>{texts["sign_out"]}</button></form></div>'


def _spoken(allowance: Allowance, language: Language) -> dict[str, str]:
    facts: dict[str, int | str] = {
        "limit": allowance.limit,
        "left": allowance.remaining,
        "window": allowance.window or "day",
    }
    return spoken(facts, language)


def _language(request: gr.Request) -> Language:
    return language_of(request.headers.get("accept-language", ""))


def _responder(chat: Chat) -> Callable[..., AsyncGenerator[Any, None]]:
    async def respond(message: str, history: list[Any], request: gr.Request) -> AsyncGenerator[Any, None]:
        """Answer the message. Gives what there is of the reply, again and again, as it grows.

        A text; a list of messages where there is more to it: what the model thought aloud, or a notice of failure.
        """
        caller: Caller = request.request.state.caller
        language = _language(request)
        request_id = secrets.token_hex(8)
        asked = ChatRequest((*sendable(history), Message("user", message or "")))
        shown = _Shown(language)
        try:
            async with aclosing(_paced(chat.stream(caller, asked, request_id=request_id), shown)) as paces:
                async for _ in paces:
                    messages = shown.messages()
                    yield messages[0]["content"] if len(messages) == 1 and "metadata" not in messages[0] else messages
            if shown.cut_at_its_limit:
                yield [*shown.messages(final=True), _aside(PAGE[language]["cut_at_limit"], CUT_ID)]
        except HfchatError as error:
            yield [*shown.messages(final=True), _notice(error, language, request_id, ADMIN_SCOPE in caller.scopes)]

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


def _notice(error: HfchatError, language: Language, request_id: str, to_owner: bool) -> dict[str, Any]:
    texts = PAGE[language]
    if error.detail == "empty_content":
        return _aside(texts["empty_message"], NOTICE_ID)
    error.detail = (
        error.detail
        if error.detail.partition("|")[0] in DETAILS
        else _MARKDOWN.sub(lambda mark: f"&#{ord(mark[1])};", error.detail)
    )
    message, hint = say(error, language, to_owner=to_owner)
    if error.status == 401:
        hint = f"[{texts['session_over']}](/login)"
    soon = error.retryable and (error.retry_after_s or 0) <= 60
    again = texts["try_again"] if soon or error.fault == "owner" else ""
    lines = (f"⚠️ **{message}**", hint, again, f"<small>{texts['request_id']}: {request_id}</small>")
    return _aside("\n\n".join(filter(None, lines)), NOTICE_ID)


def _aside(text: str, mark: str) -> dict[str, Any]:
    return {"role": "assistant", "content": text, "metadata": {"id": mark}}
