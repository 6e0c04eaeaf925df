"""The chat page: a `gr.ChatInterface` on the same core as the API, and how it is mounted."""

import logging
import sys
from typing import Any

import gradio as gr
from fastapi import FastAPI
from gradio import queueing, route_utils, routes
from starlette.requests import Request as StarletteRequest

from hfchat.chat import Chat
from hfchat.logs import log_crash
from hfchat.page_head import CSS, HEAD
from hfchat.page_turn import responder
from hfchat.page_who import who_is_here
from hfchat.texts import PAGE
from hfchat.types import Caller

logger = logging.getLogger(__name__)

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
        head=HEAD,
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
            responder(chat),
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
            who_is_here,
            None,
            who,
            queue=False,
            show_progress="hidden",
            api_visibility="private",
        )
    return page
