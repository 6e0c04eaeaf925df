"""The check: every question about an installation, asked of the real thing at the same time, within seconds."""

import asyncio
import re
from collections.abc import Mapping
from urllib.parse import urlsplit

import httpx2

from hfchat.check.account import Account, ask_account, ask_credit, permission
from hfchat.check.answer import Answer, failed, unknown, wrong
from hfchat.check.http import FAILURES
from hfchat.check.machine import ask_copy, ask_port, ask_store, clock, key, sqlite
from hfchat.check.models import CALL_TIMEOUT_S, Listing, ask_listing, ask_model, model_listed, unique
from hfchat.check.proxy import ask_proxy
from hfchat.config.settings import Settings, SettingsError
from hfchat.errors import EndpointRetired
from hfchat.factory import make_bucket
from hfchat.ledger.open_store import sqlite_path
from hfchat.types import HUB_URL, ROUTER_URL
from hfchat.upstream.hub import HubUpstream

TIMEOUT = httpx2.Timeout(6, connect=4)
# Endpoints of one's own take a Hugging Face token too, of another permission, and are billed apart.
_OWN_ENDPOINTS = ".endpoints.huggingface.cloud"


async def check(
    settings: Settings, *, hub_url: str = HUB_URL, router_url: str = ROUTER_URL, call_timeout_s: float = CALL_TIMEOUT_S
) -> list[Answer]:
    """The answers, in the order of `check --help`. It changes nothing, and costs one call of one token.

    Questions about Hugging Face are left out where another server answers without a Hugging Face token; those about a proxy
    where there is no public address.
    """
    hf_token = settings.huggingface_api_token.get_secret_value() if settings.huggingface_api_token else None
    base_url = router_url if settings.hf_chat_base_url == ROUTER_URL else settings.hf_chat_base_url
    routed = asks_hugging_face(settings)
    upstream = HubUpstream(
        hf_token=hf_token,
        base_url=None if base_url == ROUTER_URL else base_url,
        bill_to=settings.hf_chat_bill_to,
        timeout_s=call_timeout_s,
    )
    try:
        async with (
            httpx2.AsyncClient(timeout=TIMEOUT) as web,
            httpx2.AsyncClient(timeout=TIMEOUT, trust_env=False) as local,  # a proxy does not know this machine
            asyncio.TaskGroup() as tasks,
        ):
            port = tasks.create_task(ask_port(local, settings))
            store = tasks.create_task(ask_store(settings))
            copy = tasks.create_task(_copy(settings, hub_url))
            proxy = tasks.create_task(_proxy(web, settings))
            listing = tasks.create_task(ask_listing(upstream, base_url))
            head = tasks.create_task(_head(web, base_url))
            account = tasks.create_task(_account(web, hub_url, hf_token if routed else None))
            credit = tasks.create_task(_credit(web, hub_url, hf_token if routed else None, account, settings))
            call = tasks.create_task(_call(upstream, settings, listing, call_timeout_s))
    finally:
        await upstream.close()
    return [
        Answer("settings", "good", "settings_fit"),
        *(_about_account(account.result(), settings) if routed else []),
        *credit.result(),
        _address(listing.result(), head.result(), base_url),
        *(model_listed(model, listing.result(), routed=routed) for model in _models(settings)),
        *call.result(),
        key(settings),
        clock(account.result().date or (head.result() or {}).get("date")),
        store.result(),
        *copy.result(),
        *([sqlite()] if sqlite_path(settings.hfchat_store) is not None else []),
        port.result(),
        *proxy.result(),
    ]


def asks_hugging_face(settings: Settings) -> bool:
    """Whether models are called through Hugging Face: by its router, or another address that is given its token."""
    if settings.hf_chat_base_url == ROUTER_URL:
        return True
    hf_token = settings.huggingface_api_token
    own_endpoint = (urlsplit(settings.hf_chat_base_url).hostname or "").endswith(_OWN_ENDPOINTS)
    return hf_token is not None and hf_token.get_secret_value().startswith("hf_") and not own_endpoint


def settings_refused(error: SettingsError) -> list[Answer]:
    """The answers where the program would not start: one for each setting that is wrong."""
    return [wrong("settings", "setting_refused", line=line) for line in str(error).splitlines()]


def _models(settings: Settings) -> list[str]:
    return unique((settings.hf_chat_model, *settings.hf_chat_models, *settings.hf_chat_fallback_models))


async def _account(client: httpx2.AsyncClient, hub_url: str, hf_token: str | None) -> Account:
    if hf_token is None:
        return Account(wrong("hf_token", "hf_token_missing"))
    return await ask_account(client, hub_url, hf_token)


def _about_account(account: Account, settings: Settings) -> list[Answer]:
    if account.facts is None:
        return [account.token]
    return [account.token, permission(account.facts, settings.hf_chat_bill_to)]


async def _credit(
    client: httpx2.AsyncClient,
    hub_url: str,
    hf_token: str | None,
    account: "asyncio.Task[Account]",
    settings: Settings,
) -> list[Answer]:
    if hf_token is None:
        return []
    return [await ask_credit(client, hub_url, hf_token, account, settings.hf_chat_bill_to)]


async def _call(
    upstream: HubUpstream, settings: Settings, listing: "asyncio.Task[Listing]", timeout_s: float
) -> list[Answer]:
    if settings.offline:
        return [unknown("call", "call_offline", model=settings.hf_chat_model)]
    return [await ask_model(upstream, settings.hf_chat_model, listing, timeout_s=timeout_s)]


async def _copy(settings: Settings, hub_url: str) -> list[Answer]:
    if settings.hfchat_store_copy is None:
        return []
    return [await ask_copy(make_bucket(settings, None if hub_url == HUB_URL else hub_url))]


async def _proxy(client: httpx2.AsyncClient, settings: Settings) -> list[Answer]:
    if settings.public_url is None:
        return []
    return await ask_proxy(client, settings.public_url, settings.signing_key)


async def _head(client: httpx2.AsyncClient, base_url: str) -> Mapping[str, str] | None:
    """The headers of an answer of the address, with its `:status`; None where it does not answer."""
    try:
        async with client.stream("GET", f"{base_url}/models") as response:
            return {**response.headers, ":status": str(response.status_code)}
    except FAILURES:
        return None


def _address(listing: Listing, head: Mapping[str, str] | None, base_url: str) -> Answer:
    """An address that is gone, or leads elsewhere, answers too: that is no good answer."""
    if head is not None and re.fullmatch("3..|410", head[":status"]):
        return failed("address", EndpointRetired(), address=base_url)
    return listing.address
