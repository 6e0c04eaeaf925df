"""Mounting of the chat page, a `gr.ChatInterface`, with the middleware of its own, into the application."""

import logging
import sys
from typing import Any

import gradio as gr
from fastapi import FastAPI
from gradio import blocks, queueing, route_utils, routes
from starlette.middleware import Middleware
from starlette.requests import Request as StarletteRequest
from starlette.routing import Mount

from hfchat.chat.catalog import Catalog
from hfchat.chat.chat import Chat
from hfchat.http.body import BodyReader
from hfchat.http.static_files import static_routes
from hfchat.i18n.language import LANGUAGES
from hfchat.logs import log_crash
from hfchat.page.appearance import Appearance
from hfchat.page.assets import AssetCache
from hfchat.page.document import PageHead
from hfchat.page.gradio_translations import translations
from hfchat.page.head import CSS, SCRIPTS, head
from hfchat.page.layout import build_page
from hfchat.page.presence import ConnectionTracker, OpenConnections
from hfchat.page.rate_limit import PageRateLimit
from hfchat.page.ratings import Ratings
from hfchat.page.renderer import RendererScripts, import_map
from hfchat.page.requests import PageRequestMiddleware
from hfchat.page.session_limits import SessionLimitMiddleware, SessionLimits
from hfchat.page.theme import theme
from hfchat.types import Caller

logger = logging.getLogger(__name__)


def mount_page(
    app: FastAPI,
    chat: Chat,
    catalog: Catalog,
    look: Appearance,
    *,
    routed: bool,
    offline: bool,
    public_url: str | None,
    on_space: bool,
    reader: BodyReader,
) -> None:
    """Mount the page at `/`. Every request that reaches it has passed the gate.

    `routed` where a model's name may have a provider after its colon, `offline` where the stand-in answers, `on_space` where
    Hugging Face's page shows it in a frame. `reader` bounds what one person may be in the middle of sending.
    """
    blocks.App = _AppWithoutRoutes
    connections, ratings = OpenConnections(), Ratings()
    page = build_page(chat, catalog, look, connections, ratings, routed=routed, offline=offline)
    limits = SessionLimits(page, ratings.forget)
    # Without these every chat takes one of 40 threads, and one chat runs at a time.
    page.max_threads = 500
    page.queue(default_concurrency_limit=None, api_open=False)
    # How often Gradio looks whether an event waits; every millisecond, as it is, costs 5 % of a core with nobody there.
    page._queue.sleep_when_free = 0.005
    # It counts its events after each, with pandas, which takes 18 ms once there were 10,000.
    page._queue.ANALYTICS_MAX_EVENTS = 1
    page._queue.ANAYLTICS_CACHE_FREQUENCY = sys.maxsize
    folder, scripts = static_routes("hfchat", SCRIPTS)
    app.router.routes.extend(scripts)
    heads = {language: head(folder, import_map(), look.icon, language) for language in LANGUAGES}
    middleware = [
        Middleware(PageHead, heads=heads, on_space=on_space),
        Middleware(RendererScripts),
        Middleware(PageRequestMiddleware, reader=reader, rate_limit=PageRateLimit()),
        Middleware(SessionLimitMiddleware, limits=limits),
        Middleware(ConnectionTracker, connections=connections),
    ]
    gr.mount_gradio_app(
        app,
        page,
        "/",
        root_path=public_url,
        auth_dependency=_signed_in,
        app_kwargs={"openapi_url": None, "middleware": middleware},
        footer_links=[],
        show_error=False,
        max_file_size=1,
        ssr_mode=False,
        mcp_server=False,
        enable_monitoring=False,
        run_history=False,
        pwa=False,
        i18n=translations(),
        css=CSS,
        theme=theme(look.accent),
    )
    # A page says when it goes (presence.py): a connection held open for that would be one of six that its browser has for us.
    page.config["connect_heartbeat"] = False
    mounted = app.routes[-1]
    if isinstance(mounted, Mount) and isinstance(mounted.app, FastAPI):
        mounted.app.add_middleware(AssetCache)  # outside of Gradio's own, which compress
    for module in (queueing, route_utils, routes):
        module.traceback = _Crashes
    # Until this is set, Gradio serves any file of this machine to whoever asks; mounting alone does not set it.
    page.has_launched = True


class _AppWithoutRoutes:
    """Stands for `App` in `gradio.blocks`, for the whole process: Gradio makes one at each of five steps of building a page, with
    80 routes in 50 ms, and none of these is ever served.

    The one that is mounted, with its routes, is made elsewhere. The queue only looks into the last of these for its root path
    and its state.
    """

    @staticmethod
    def create_app(page: gr.Blocks, **options: Any) -> routes.App:
        if options != {"mcp_server": False}:  # `launch` passes others: that one is served
            return routes.App.create_app(page, **options)
        app = routes.App()
        app.configure_app(page)
        return app


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
