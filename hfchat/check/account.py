"""Hugging Face account: is the token valid, may it call models, and is there credit left? One call each, time-limited."""

import asyncio
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import httpx2

from hfchat.check.answer import Answer, good, unknown, wrong
from hfchat.check.http import FAILURES, fetch

PERMISSION = "inference.serverless.write"
# A call is booked with this much until the provider's own figure is in, and refused where it does not fit.
PLACEHOLDER_NANO_USD = 10_000_000
_NANO = 1e9


@dataclass(frozen=True, slots=True)
class Account:
    """Whose token it is, as `/api/whoami-v2` says, or why that is not known. `date` is the answer's `Date` header."""

    token: Answer
    facts: dict[str, Any] | None = None
    date: str | None = None


async def ask_account(client: httpx2.AsyncClient, hub_url: str, hf_token: str) -> Account:
    """The account. Its address allows few calls: it is asked once."""
    try:
        response = await fetch(client, "GET", f"{hub_url}/api/whoami-v2", headers=_bearer(hf_token))
    except FAILURES as failure:
        return Account(unknown("hf_token", "hub_unreachable", address=hub_url, kind=type(failure).__name__))
    facts, date = response.object, response.headers.get("date")
    if response.status in (401, 403):
        return Account(wrong("hf_token", "hf_token_refused"), date=date)
    if response.status == 429:
        return Account(unknown("hf_token", "hf_token_rate_limited"), date=date)
    if response.status != 200 or not isinstance(facts.get("name"), str):
        return Account(unknown("hf_token", "hub_unreadable", address=hub_url, status=response.status), date=date)
    plan = "PRO" if facts.get("isPro") is True else "free"
    return Account(good("hf_token", f"hf_token_of_{plan.lower()}", name=facts["name"][:100]), facts, date)


def permission(facts: dict[str, Any], bill_to: str | None) -> Answer:
    """Whether the token may call models: for the account, or for the organisation that is billed."""
    if bill_to is not None and bill_to not in _names(facts.get("orgs")):
        return wrong("permission", "not_a_member", organisation=bill_to)
    access_token = _dict(_dict(facts.get("auth")).get("accessToken"))
    role = access_token.get("role")
    if role in ("read", "write"):
        return good("permission", "permission_by_role", role=role)
    if role != "fineGrained":
        return unknown("permission", "permission_unknown")
    fine_grained = _dict(access_token.get("fineGrained"))
    if PERMISSION in _texts(fine_grained.get("global")):
        return good("permission", "permission_given")
    entities = [
        _dict(scope.get("entity")).get("name")
        for scope in _dicts(fine_grained.get("scoped"))
        if PERMISSION in _texts(scope.get("permissions"))
    ]
    if not entities:
        return wrong("permission", "permission_missing")
    if bill_to is not None and bill_to not in entities:
        return wrong("permission", "permission_of_another", organisation=bill_to)
    return good("permission", "permission_given")


async def ask_credit(
    client: httpx2.AsyncClient, hub_url: str, hf_token: str, account: "asyncio.Future[Account]", bill_to: str | None
) -> Answer:
    """What is left of this month's credit, by the owner's bill."""
    if bill_to is not None:
        return unknown("credit", "credit_of_organisation", organisation=bill_to)
    now = datetime.now(UTC)
    month = now.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    period = {"startDate": int(month.timestamp()), "endDate": int(time.time())}
    url = f"{hub_url}/api/settings/billing/usage-v2"
    try:
        response = await fetch(client, "GET", url, params=period, headers=_bearer(hf_token))
    except FAILURES as failure:
        return unknown("credit", "hub_unreachable", address=hub_url, kind=type(failure).__name__)
    if response.status == 403:
        return unknown("credit", "credit_unreadable")
    bill = _dict(_dict(response.object.get("usage")).get("inferenceProviders"))
    used, included, limit = (_amount(bill.get(f"{name}NanoUsd")) for name in ("used", "included", "limit"))
    if response.status != 200 or used is None or included is None:
        return unknown("credit", "hub_unreadable", address=hub_url, status=response.status)
    facts = (await account).facts or {}
    return _credit(used, included, limit or 0, can_pay=facts.get("canPay") is True)


def _credit(used: float, included: float, limit: float, *, can_pay: bool) -> Answer:
    """The answer for amounts in billionths of a dollar; a `limit` of 0 is none."""
    amounts = {"used": used / _NANO, "included": included / _NANO}
    if limit and used + PLACEHOLDER_NANO_USD > limit:
        return wrong("credit", "credit_limit", used=used / _NANO, limit=limit / _NANO)
    if used + PLACEHOLDER_NANO_USD <= included:
        return good("credit", "credit_left", left=(included - used) / _NANO, **amounts)
    return good("credit", "credit_paid", **amounts) if can_pay else wrong("credit", "credit_used_up", **amounts)


def _bearer(hf_token: str) -> dict[str, str]:
    return {"authorization": f"Bearer {hf_token}"}


def _dict(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _dicts(value: object) -> Iterator[dict[str, Any]]:
    return (item for item in (value if isinstance(value, list) else ()) if isinstance(item, dict))


def _texts(value: object) -> list[str]:
    return [item for item in value if isinstance(item, str)] if isinstance(value, list) else []


def _names(value: object) -> set[str]:
    return {item["name"] for item in _dicts(value) if isinstance(item.get("name"), str)}


def _amount(value: object) -> float | None:
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None
