"""ASGI application: builds the parts, mounts the routes, and sets the order of the middleware. A route must be listed in
gate/access.py.
"""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass

from fastapi import FastAPI
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from hfchat import __version__
from hfchat.api.account import account_router
from hfchat.api.chat import ChatEndpoint
from hfchat.api.docs import docs_routes
from hfchat.api.health import health_routes
from hfchat.api.idempotency_runs import Runs
from hfchat.api.models import models_router
from hfchat.api.openai import CompletionsEndpoint
from hfchat.api.openapi import documented, openapi_document
from hfchat.api.turn import TurnAnswers
from hfchat.auth.authenticator import Authenticator
from hfchat.auth.credit import Credit
from hfchat.auth.hub_sessions import HubSessions
from hfchat.auth.hub_tokens import HubTokens
from hfchat.auth.openid import OpenIdProvider
from hfchat.auth.revocation import revocation
from hfchat.auth.verifier import Verifier
from hfchat.chat.catalog import Catalog
from hfchat.chat.chat import Chat
from hfchat.config.settings import Settings
from hfchat.errors import Overloaded
from hfchat.factory import make_credit, make_ledger, make_provider, make_verifier
from hfchat.gate.access import CLIENT_METADATA, HUB_CALLBACK, HUB_SIGN_IN
from hfchat.gate.drain import Drain
from hfchat.gate.gate import Endpoint, Gate
from hfchat.gate.hub_signin import HubSignIn, client_metadata
from hfchat.gate.own_token import own_token_route
from hfchat.gate.payer import payer_route
from hfchat.gate.response_headers import EXPOSED
from hfchat.gate.signin import SignIn
from hfchat.http.body import BodyReader
from hfchat.http.session_cookie import SessionCookie
from hfchat.ledger.ledger import Ledger
from hfchat.ledger.store import Store
from hfchat.page.appearance import Appearance
from hfchat.page.mount import mount_page
from hfchat.types import ROUTER_URL, Caller, Upstream
from hfchat.upstream.by_payer import UpstreamByPayer
from hfchat.upstream.hub import HubUpstream
from hfchat.upstream.offline import OfflineUpstream


def create_app(settings: Settings, upstream: Upstream | None = None, store: Store | None = None) -> FastAPI:
    """The whole program as an ASGI app. `upstream` and `store` take the place of those that the settings name.

    `app.state.drain` (a `Drain`) makes it finish what is in progress and begin nothing new.
    """
    verifier = make_verifier(settings)
    ledger = make_ledger(settings, store)
    credit = make_credit(settings)

    async def verify(token: str) -> Caller:
        return credit.admit(await verifier.verify(token))

    authenticate = Authenticator(verify, ledger.quota)
    hub = _hub(settings, ledger, credit)
    upstream = upstream or _upstream(settings)
    catalog = Catalog(upstream)
    chat = Chat(
        upstream,
        ledger,
        system_prompt=settings.hf_chat_system_prompt,
        patience_s=settings.hfchat_patience_s,
        providers_of=catalog.providers,
        own_token=hub.tokens.hf_token if hub is not None and credit.own else None,
    )
    reader = BodyReader()
    turns = TurnAnswers(chat, ledger, reader, Runs(ledger))
    direct: dict[str, Endpoint] = {
        "/api/ai/chat": ChatEndpoint(turns),
        "/v1/chat/completions": CompletionsEndpoint(turns, settings.media_hosts),
    }
    drain = Drain(lambda: chat.end_turns(Overloaded))
    on_space, closed = settings.space_id is not None, not settings.has_key
    cookie = SessionCookie(https=(settings.public_url or "").startswith("https://"), framed=on_space)
    gate = Gate(
        authenticate=authenticate,
        cookie=cookie,
        public_url=settings.public_url,
        drain=drain,
        origins=settings.hfchat_cors_origins,
        direct=direct,
        hub_sign_in=hub is not None,
    )
    app = _Application(
        title="hfchat",
        version=__version__,
        docs_url=None,
        redoc_url=None,
        lifespan=_lifespan(ledger, chat, upstream, verifier, *([hub.provider] if hub is not None else [])),
        middleware=[
            Middleware(gate.wrap),
            # Needed without origins too: Gradio then adds none of its own, which allows every origin.
            Middleware(
                CORSMiddleware,
                allow_origins=settings.hfchat_cors_origins,
                allow_methods=["GET", "POST"],
                allow_headers=["*"],
                # Chrome asks for it where a page of the internet calls a server in the user's own network.
                allow_private_network=True,
                expose_headers=EXPOSED,
            ),
        ],
    )
    app.direct, app.gate = frozenset(direct), gate
    app.state.drain = drain
    app.openapi = openapi_document(app)  # type: ignore[method-assign]
    sessions = hub.sessions if hub is not None else None
    sign_in = SignIn(
        authenticate,
        cookie,
        set_up=closed,
        with_token="token" in settings.sign_in,
        hub_link=f"{settings.hub_origin}{HUB_SIGN_IN}" if hub is not None else None,
        sessions=sessions,
    )

    async def ready() -> bool:
        return not closed and not drain.began and await ledger.healthy()

    app.include_router(documented(direct))
    app.include_router(models_router(catalog))
    app.include_router(account_router(revocation(verifier, ledger)))
    app.router.routes += [
        *health_routes(ready),
        *sign_in.routes(),
        *(_hub_routes(settings, hub.sessions, authenticate, cookie) if hub is not None else []),
        own_token_route(cookie, sessions),
        payer_route(cookie, sessions),
        *docs_routes(on_space=on_space),
    ]
    mount_page(
        app,
        chat,
        catalog,
        _appearance(settings),
        routed=settings.hf_chat_base_url == ROUTER_URL,
        offline=isinstance(upstream, OfflineUpstream),
        public_url=settings.public_url,
        on_space=on_space,
        reader=reader,
    )
    return app


class _Application(FastAPI):
    """FastAPI, where a chat turn meets the gate before anything else: the layers in between do nothing for it."""

    direct: frozenset[str]
    gate: Gate

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Everything else meets the gate inside of FastAPI's own layers, which know how to fail."""
        if scope["type"] == "http" and scope["method"] == "POST" and scope["path"] in self.direct:
            await self.gate(scope, receive, send)
        else:
            await super().__call__(scope, receive, send)


def _appearance(settings: Settings) -> Appearance:
    return Appearance(
        title=settings.hfchat_title,
        greeting=settings.hfchat_greeting,
        examples=settings.hfchat_examples,
        logo=settings.hfchat_logo,
        accent=settings.hfchat_accent,
    )


@dataclass(frozen=True, slots=True)
class _Hub:
    """The sign-in with Hugging Face."""

    provider: OpenIdProvider
    tokens: HubTokens
    sessions: HubSessions


def _hub(settings: Settings, ledger: Ledger, credit: Credit) -> _Hub | None:
    origin, secret = settings.hub_origin, settings.signing_key
    if not settings.hub_sign_in or secret is None:
        return None
    provider = make_provider(settings, f"{origin}{CLIENT_METADATA}", f"{origin}{HUB_CALLBACK}")
    tokens = HubTokens(provider, ledger, secret)
    return _Hub(provider, tokens, HubSessions(provider, tokens, ledger, credit, secret))


def _hub_routes(
    settings: Settings, sessions: HubSessions, authenticate: Authenticator, cookie: SessionCookie
) -> list[Route]:
    origin = settings.hub_origin or ""
    metadata = client_metadata(origin, settings.hfchat_title) if settings.oauth_client_id is None else None
    return HubSignIn(sessions, authenticate, cookie, origin=origin, client_metadata=metadata).routes()


def _upstream(settings: Settings) -> Upstream:
    if settings.offline and settings.own_credit:
        return UpstreamByPayer(_hub_upstream(settings), OfflineUpstream())
    return OfflineUpstream() if settings.offline else _hub_upstream(settings)


def _hub_upstream(settings: Settings) -> HubUpstream:
    hf_token = settings.huggingface_api_token
    return HubUpstream(
        hf_token=hf_token.get_secret_value() if hf_token else None,
        base_url=None if settings.hf_chat_base_url == ROUTER_URL else settings.hf_chat_base_url,
        bill_to=settings.hf_chat_bill_to,
        timeout_s=settings.hf_chat_timeout_s,
    )


def _lifespan(
    ledger: Ledger, *others: Chat | Upstream | Verifier | OpenIdProvider
) -> Callable[[FastAPI], AbstractAsyncContextManager[None]]:
    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        await ledger.open()
        try:
            yield
        finally:
            for thing in (*others, ledger):
                await thing.close()

    return lifespan
