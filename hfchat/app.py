"""The application: the objects, the doors, and the order in which a request meets them."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware

from hfchat import __version__
from hfchat.api import api_router
from hfchat.chat import Chat
from hfchat.docs import docs_route
from hfchat.errors import InvalidToken, Overloaded
from hfchat.gate import Drain, Gate
from hfchat.health import health_routes
from hfchat.offline import OfflineUpstream
from hfchat.settings import ROUTER_URL, Settings
from hfchat.signin import SignIn
from hfchat.tokens import verify_token
from hfchat.types import Caller, Policy, Upstream
from hfchat.ui import mount_page
from hfchat.upstream import HubUpstream


def create_app(settings: Settings, upstream: Upstream | None = None) -> FastAPI:
    """The whole program as an ASGI app. `upstream` takes the place of the one that the settings name.

    `app.state.drain` (a `gate.Drain`) makes it finish what is in progress and begin nothing new.
    """
    authenticate = _authenticator(settings)
    upstream = upstream or _upstream(settings)
    chat = Chat(upstream, _policy(settings), system_prompt=settings.hf_chat_system_prompt)
    drain = Drain(lambda: chat.end_turns(Overloaded))
    app = FastAPI(
        title="hfchat",
        version=__version__,
        docs_url=None,
        redoc_url=None,
        lifespan=_lifespan(upstream),
        middleware=[
            Middleware(Gate, authenticate=authenticate, drain=drain, origins=settings.hfchat_cors_origins),
            # Even without an origin it must be there: it switches off Gradio's own, which lets every origin in.
            Middleware(
                CORSMiddleware,
                allow_origins=settings.hfchat_cors_origins,
                allow_methods=["GET", "POST"],
                allow_headers=["Authorization", "Content-Type"],
                expose_headers=["X-Request-Id", "Retry-After"],
            ),
        ],
    )
    app.state.drain = drain
    app.openapi = _openapi(app)  # type: ignore[method-assign]
    https = (settings.public_url or "").startswith("https://")
    on_space, closed = settings.space_id is not None, settings.jwt_secret is None
    sign_in = SignIn(authenticate, https=https, framed=on_space, set_up=closed)
    app.include_router(api_router(chat))
    app.router.routes += [
        *health_routes(lambda: not closed and not drain.began),
        *sign_in.routes(),
        docs_route(app.openapi, public_url=settings.public_url),
    ]
    mount_page(app, chat, public_url=settings.public_url)
    return app


def _authenticator(settings: Settings) -> Callable[[str], Caller]:
    key = settings.jwt_secret

    def authenticate(token: str) -> Caller:
        if key is None:
            raise InvalidToken
        return verify_token(key.get_secret_value(), token)

    return authenticate


def _upstream(settings: Settings) -> Upstream:
    if settings.offline:
        return OfflineUpstream()
    hf_token = settings.huggingface_api_token
    return HubUpstream(
        hf_token=hf_token.get_secret_value() if hf_token else None,
        base_url=None if settings.hf_chat_base_url == ROUTER_URL else settings.hf_chat_base_url,
        bill_to=settings.hf_chat_bill_to,
        timeout_s=settings.hf_chat_timeout_s,
    )


def _policy(settings: Settings) -> Policy:
    return Policy(
        default_model=settings.hf_chat_model,
        models=settings.allowed_models,
        fallback_models=settings.hf_chat_fallback_models,
        max_tokens=settings.hf_chat_max_tokens,
    )


def _lifespan(upstream: Upstream) -> Callable[[FastAPI], AbstractAsyncContextManager[None]]:
    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        try:
            yield
        finally:
            await upstream.close()

    return lifespan


def _openapi(app: FastAPI) -> Callable[[], dict[str, object]]:
    def openapi() -> dict[str, object]:
        document = get_openapi(title=app.title, version=app.version, routes=app.routes)
        bearer = {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}
        document.setdefault("components", {})["securitySchemes"] = {"bearer": bearer}
        document["security"] = [{"bearer": []}]
        return document

    return openapi
