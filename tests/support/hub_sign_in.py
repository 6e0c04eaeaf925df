"""The program where people sign in with Hugging Face, and a browser of few words that signs in."""

import urllib.request
from collections.abc import AsyncGenerator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any
from urllib.error import HTTPError
from urllib.parse import urlsplit

from hfchat.config.settings import Settings
from hfchat.types import Call, Delta, Finish, ModelFacts
from hfchat.upstream.by_payer import UpstreamByPayer
from hfchat.upstream.hub import HubUpstream
from hfchat.upstream.offline import OfflineUpstream
from tests.conftest import RunningApp, make_settings, running
from tests.support.openid_provider import OpenIdProvider
from tests.support.raw_client import Said, ask
from tests.support.stub_upstream import StubUpstream

OWNERS_TOKEN = "hf_" + "OwNeRsTokenQzWxEcRv" + "2345"
ORIGIN = "https://chat.example.org"
HERE = {"Sec-Fetch-Site": "same-origin", "X-Hfchat-Asks": "1"}


class StubRouter:
    """The hub client as it is, sent to the stub in the router's place. Made where no event loop runs yet."""

    def __init__(self, stub: StubUpstream, hf_token: str | None = OWNERS_TOKEN) -> None:
        self._stub = stub
        self._hf_token = hf_token

    @cached_property
    def _hub(self) -> HubUpstream:
        return HubUpstream(hf_token=self._hf_token, base_url=self._stub.base_url, bill_to="owners-org")

    def stream(self, call: Call) -> AsyncGenerator[Delta | Finish, None]:
        return self._hub.stream(call)

    async def models(self) -> list[ModelFacts]:
        return []

    async def close(self) -> None:
        await self._hub.close()


def hub_settings(provider: OpenIdProvider, **variables: str) -> Settings:
    usual = {"HFCHAT_SIGN_IN": "token,huggingface", "HFCHAT_PUBLIC_URL": ORIGIN, "HUGGINGFACE_API_TOKEN": OWNERS_TOKEN}
    return make_settings(**{**usual, "OPENID_PROVIDER_URL": provider.url, **variables})


@contextmanager
def hub_app(provider: OpenIdProvider, stub: StubUpstream, **variables: str) -> Iterator[RunningApp]:
    settings = hub_settings(provider, **variables)
    router = StubRouter(stub, OWNERS_TOKEN if settings.huggingface_api_token else None)
    upstream = router if settings.huggingface_api_token else UpstreamByPayer(router, OfflineUpstream())
    with running(settings, upstream) as app:
        yield app


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: Any) -> None:
        return None


def follow(address: str) -> str:
    """Where the provider sends a browser."""
    try:
        urllib.request.build_opener(_NoRedirect).open(address, timeout=60)
    except HTTPError as answer:
        return str(answer.headers["Location"])
    raise AssertionError("it is no redirect")


@dataclass
class Browser:
    """Cookies by name, as a browser keeps them, and requests with them."""

    app: RunningApp
    cookies: dict[str, str] = field(default_factory=dict)

    def ask(self, method: str, target: str, headers: dict[str, str] | None = None, body: bytes = b"") -> Said:
        jar = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        response = ask(self.app, method, target, {**({"Cookie": jar} if jar else {}), **(headers or {})}, body)
        for written in response.headers.get_all("Set-Cookie") or []:
            name, _, value = written.partition(";")[0].partition("=")
            self.cookies[name] = value
            if "Max-Age=0;" in written:
                del self.cookies[name]
        return response

    def start(self) -> str:
        """Where the browser is sent to sign in."""
        response = self.ask("GET", "/login/huggingface")
        assert response.status == 303, response.body
        return str(response.headers["Location"])

    def callback(self) -> str:
        """The provider's answer to an attempt: a path with a query."""
        place = urlsplit(follow(self.start()))
        return f"{place.path}?{place.query}"

    def sign_in(self) -> "Browser":
        response = self.ask("GET", self.callback())
        assert (response.status, response.headers["Location"]) == (303, "/"), response.body
        return self

    @property
    def session(self) -> str:
        return self.cookies["__Host-hfchat_session"]

    def program_token(self) -> str:
        return str(self.ask("POST", "/own-token", HERE).json["token"])

    def pay(self, payer: str) -> Said:
        return self.ask("POST", "/payer", HERE, f'{{"payer": "{payer}"}}'.encode())
