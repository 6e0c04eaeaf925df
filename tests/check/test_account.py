"""What `check` says of the owner's token, its permission and the credit, against a stub of the Hub."""

import asyncio
from collections.abc import Iterator
from typing import Any

import httpx2
import pytest

from hfchat.check.account import PERMISSION, Account, ask_account, ask_credit, permission
from hfchat.check.answer import good
from tests.support.rows import each_row
from tests.support.stub_hub import HF_TOKEN, Body, StubHub, bill, whoami

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
def shared_hub() -> Iterator[StubHub]:
    with StubHub() as hub:
        yield hub


@pytest.fixture
def hub(shared_hub: StubHub) -> Iterator[StubHub]:
    yield shared_hub
    shared_hub.answers.clear()
    shared_hub.calls.clear()


TOKENS: dict[str, tuple[int, Body, str]] = {
    "free": (200, whoami(), "hf_token_of_free"),
    "PRO": (200, whoami(plan="pro"), "hf_token_of_pro"),
    "wrong": (401, {"error": "Invalid username or password."}, "hf_token_refused"),
    "ended": (403, {"error": "User access token expired"}, "hf_token_refused"),
    "asked too often": (429, {"error": "We had to rate limit you"}, "hf_token_rate_limited"),
    "the hub fails": (500, {"error": "Internal"}, "hub_unreadable"),
    "a page": (200, "<html>", "hub_unreadable"),
    "no name": (200, {"type": "user"}, "hub_unreadable"),
    "a list": (200, [1], "hub_unreadable"),
}


@pytest.mark.parametrize(("status", "body", "reason"), TOKENS.values(), ids=TOKENS)
async def test_the_token_is_looked_up_once(hub: StubHub, status: int, body: Body, reason: str) -> None:
    hub.answers["GET /api/whoami-v2"] = (status, body)
    async with httpx2.AsyncClient() as client:
        account = await ask_account(client, hub.url, HF_TOKEN)
    assert account.token.reason == reason
    assert account.date is not None
    assert (account.facts is not None) == (account.token.status == "good")
    assert hub.calls == ["GET /api/whoami-v2"]
    assert hub.authorizations == {f"Bearer {HF_TOKEN}"}


async def test_a_hub_that_cannot_be_reached_says_nothing_against_the_token() -> None:
    async with httpx2.AsyncClient() as client:
        account = await ask_account(client, "http://127.0.0.1:9", HF_TOKEN)
        credit = await ask_credit(client, "http://127.0.0.1:9", HF_TOKEN, asyncio.Future(), None)
    assert (account.token.status, account.token.reason) == ("unknown", "hub_unreachable")
    assert (credit.status, credit.reason) == ("unknown", "hub_unreachable")


def scoped(name: str, *permissions: str) -> dict[str, Any]:
    return {"entity": {"_id": "1", "type": "org", "name": name}, "permissions": list(permissions)}


ACME = [{"name": "acme"}]
PERMISSIONS: dict[str, tuple[dict[str, Any], str | None, str]] = {
    "classic write": (whoami(role="write"), None, "permission_by_role"),
    "classic read": (whoami(role="read"), None, "permission_by_role"),
    "global": (
        whoami(role="fineGrained", fineGrained={"global": [PERMISSION], "scoped": []}),
        None,
        "permission_given",
    ),
    "scoped": (
        whoami(role="fineGrained", fineGrained={"global": [], "scoped": [scoped("ana", PERMISSION)]}),
        None,
        "permission_given",
    ),
    "second scope": (
        whoami(role="fineGrained", fineGrained={"scoped": [scoped("ana", "x"), scoped("ana", "y", PERMISSION)]}),
        None,
        "permission_given",
    ),
    "none": (whoami(role="fineGrained", fineGrained={"global": ["a"], "scoped": []}), None, "permission_missing"),
    "another's": (
        whoami(role="fineGrained", fineGrained={"scoped": [scoped("ana", "repo.write")]}),
        None,
        "permission_missing",
    ),
    "no list at all": (whoami(role="fineGrained"), None, "permission_missing"),
    "lists of another kind": (
        whoami(role="fineGrained", fineGrained={"global": {"a": 1}, "scoped": [1, {"entity": 2, "permissions": 3}]}),
        None,
        "permission_missing",
    ),
    "the organisation's": (
        whoami(role="fineGrained", fineGrained={"scoped": [scoped("acme", PERMISSION)]}, orgs=ACME),
        "acme",
        "permission_given",
    ),
    "global, for an organisation": (
        whoami(role="fineGrained", fineGrained={"global": [PERMISSION]}, orgs=ACME),
        "acme",
        "permission_given",
    ),
    "not for that organisation": (
        whoami(role="fineGrained", fineGrained={"scoped": [scoped("ana", PERMISSION)]}, orgs=ACME),
        "acme",
        "permission_of_another",
    ),
    "not in that organisation": (whoami(), "acme", "not_a_member"),
    "an unknown role": (whoami(role="god"), None, "permission_unknown"),
    "no token told of": ({"name": "ana"}, None, "permission_unknown"),
}


@each_row(("facts", "bill_to", "reason"), PERMISSIONS.values(), ids=PERMISSIONS)
def test_the_permission_may_stand_anywhere(facts: dict[str, Any], bill_to: str | None, reason: str) -> None:
    answer = permission(facts, bill_to)
    assert answer.reason == reason
    ends = {"given": "good", "role": "good", "unknown": "unknown"}
    assert answer.status == ends.get(reason.rpartition("_")[2], "wrong")


CREDITS: dict[str, tuple[int, Body, dict[str, Any], str, str, str]] = {
    "left": (200, bill(0.02, 0.10), {}, "good", "credit_left", "$0.08 of"),
    "the last call": (200, bill(0.09, 0.10), {}, "good", "credit_left", "$0.01 of"),
    "less than a call": (200, bill(0.095, 0.10), {}, "wrong", "credit_used_up", "$0.095 used"),
    "none left": (200, bill(0.10, 0.10), {}, "wrong", "credit_used_up", "$0.10"),
    "none at all": (200, bill(0, 0), {}, "wrong", "credit_used_up", "$0"),
    "paid": (200, bill(5, 2), {"canPay": True}, "good", "credit_paid", "$5.00"),
    "paid, at the limit": (200, bill(9.995, 2, 10), {"canPay": True}, "wrong", "credit_limit", "$10.00"),
    "paid, under the limit": (200, bill(9.9, 2, 10), {"canPay": True}, "good", "credit_paid", "$9.90"),
    "not readable": (403, {"error": "Forbidden"}, {}, "unknown", "credit_unreadable", ""),
    "token refused": (401, {"error": "Unauthorized"}, {}, "unknown", "hub_unreadable", ""),
    "no such bill": (200, {"usage": {}}, {}, "unknown", "hub_unreadable", ""),
    "odd numbers": (
        200,
        {"usage": {"inferenceProviders": {"usedNanoUsd": "1", "includedNanoUsd": True}}},
        {},
        "unknown",
        "hub_unreadable",
        "",
    ),
    "a page": (200, "<html>", {}, "unknown", "hub_unreadable", ""),
}


@pytest.mark.parametrize(("status", "body", "facts", "ends", "reason", "says"), CREDITS.values(), ids=CREDITS)
async def test_the_credit_left_is_by_the_owners_bill(
    hub: StubHub, status: int, body: Body, facts: dict[str, Any], ends: str, reason: str, says: str
) -> None:
    hub.bill = (status, body)
    account: asyncio.Future[Account] = asyncio.get_running_loop().create_future()
    account.set_result(Account(good("hf_token", "hf_token_of_free", name="ana"), whoami(**facts)))
    async with httpx2.AsyncClient() as client:
        answer = await ask_credit(client, hub.url, HF_TOKEN, account, None)
    assert (answer.status, answer.reason) == (ends, reason)
    assert says in answer.words("en").says


async def test_an_organisations_bill_is_not_looked_up(hub: StubHub) -> None:
    async with httpx2.AsyncClient() as client:
        answer = await ask_credit(client, hub.url, HF_TOKEN, asyncio.Future(), "acme")
    assert (answer.status, hub.calls) == ("unknown", [])
    assert "acme" in answer.words("en").says
