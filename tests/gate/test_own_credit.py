"""Who pays, read at the wire: a person's own Hugging Face token goes to the router with their own calls, and nowhere else."""

import asyncio
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import jwt
import pytest

from hfchat.client import send_chat_message
from hfchat.errors import CreditsExhausted
from hfchat.ledger.ledger import Ledger
from hfchat.ledger.open_store import open_store
from hfchat.limits import Limit
from tests.conftest import KEY, RunningApp, make_token, wait_until
from tests.support.hub_sign_in import HERE, OWNERS_TOKEN, Browser, hub_app
from tests.support.openid_provider import ALICE, OpenIdProvider
from tests.support.raw_client import Said, ask, logged
from tests.support.stub_upstream import DONE, Answer, StubUpstream, event, usage_event

BODY = json.dumps({"messages": [{"role": "user", "content": "hello there"}], "max_tokens": 10}).encode()


@pytest.fixture(scope="module")
def app(shared_provider: OpenIdProvider, shared_stub: StubUpstream) -> Iterator[RunningApp]:
    variables = {"HFCHAT_MEMBERS": "bob", "HFCHAT_BUDGET": "2000/day", "HF_CHAT_BILL_TO": "owners-org"}
    with hub_app(shared_provider, shared_stub, **variables) as served:
        yield served


def chat(app: RunningApp, token: str, path: str = "/api/ai/chat", body: bytes = BODY, **headers: str) -> Said:
    return ask(app, "POST", path, {"Authorization": f"Bearer {token}", **headers}, body)


def paid_by(stub: StubUpstream) -> list[str]:
    return [headers["authorization"].removeprefix("Bearer ") for headers in stub.headers]


def become(provider: OpenIdProvider, name: str, sub: str) -> None:
    provider.person |= {"preferred_username": name, "sub": sub}


def test_who_pays_for_themself_calls_with_their_own_token(
    app: RunningApp, provider: OpenIdProvider, stub: StubUpstream
) -> None:
    token = Browser(app).sign_in().program_token()
    with logged() as lines:
        assert chat(app, token).json["reply"] == "hello there "
        wait_until(lambda: any("'own_credit': True" in line for line in lines))
    body = json.dumps(
        {"model": "meta-llama/Llama-3.2-3B-Instruct:fastest", "messages": [{"role": "user", "content": "x"}]}
    )
    assert chat(app, token, "/v1/chat/completions", body.encode()).status == 200
    assert paid_by(stub) == [provider.tokens[0]] * 2
    assert not [headers for headers in stub.headers if "x-hf-bill-to" in headers]


def test_members_and_invited_people_call_with_the_owners_token(
    app: RunningApp, provider: OpenIdProvider, stub: StubUpstream
) -> None:
    become(provider, "bob", "b0b1")
    for token in (Browser(app).sign_in().program_token(), make_token("carol")):
        assert chat(app, token).status == 200
    assert paid_by(stub) == [OWNERS_TOKEN] * 2
    assert [headers["x-hf-bill-to"] for headers in stub.headers] == ["owners-org"] * 2


def test_the_own_token_is_nowhere_else(provider: OpenIdProvider, stub: StubUpstream, tmp_path: Path) -> None:
    ledger = tmp_path / "ledger.db"
    said: list[Said] = []
    with hub_app(provider, stub, HFCHAT_STORE=f"sqlite:///{ledger}") as served, logged() as lines:
        browser = Browser(served)
        said.append(browser.ask("GET", browser.callback()))
        program = browser.program_token()
        refusals = [Answer(status, "application/json", pieces=[b'{"error": "no"}']) for status in (401, 402, 403, 500)]
        for answer in [None, *refusals]:
            if answer is not None:
                stub.answer = lambda _, answer=answer: answer  # type: ignore[misc]
            said.append(chat(served, program))
            said.append(
                chat(served, program, body=BODY.replace(b"}]", b'}], "stream": true'), **{"Idempotency-Key": "k1"})
            )
        for path in ("/", "/config", "/login", "/api/ai/usage", "/api/ai/models"):
            said.append(ask(served, "GET", path, {"Authorization": f"Bearer {program}"}))
            said.append(browser.ask("GET", path))
        kept = b"".join(path.read_bytes() for path in tmp_path.iterdir())
        said.append(browser.ask("POST", "/logout"))
    kept += b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert set(paid_by(stub)) == {provider.tokens[0]}
    answers = b"".join(str(answer.headers).encode() + answer.body for answer in said)
    for secret in provider.tokens:
        assert secret.encode() not in answers + kept + "".join([*lines, *browser.cookies.values(), program]).encode()


def test_the_owners_budget_is_not_theirs_and_the_rate_is(provider: OpenIdProvider, stub: StubUpstream) -> None:
    with hub_app(provider, stub, HFCHAT_BUDGET="1200/day", HFCHAT_RATE="3/minute") as served:
        token = Browser(served).sign_in().program_token()
        large = json.dumps({"messages": [{"role": "user", "content": "x " * 600}]}).encode()
        answers = [chat(served, token, body=large) for _ in range(4)]
    assert [answer.status for answer in answers] == [200, 200, 200, 429]
    assert answers[3].code == "rate_limit_exceeded"
    assert "X-Budget-Remaining" not in answers[0].headers
    assert answers[0].headers["RateLimit-Limit"] == "3"


REFUSALS: dict[str, tuple[int, str, int, str, str]] = {
    "no credit": (402, "You have depleted your monthly included credits.", 402, "credits_exhausted", "settings/billing"),
    "no token of theirs": (401, "Invalid username or password.", 401, "hf_token_invalid", "Sign in with Hugging Face again"),
    "no permission": (
        403,
        "This authentication method does not have sufficient permissions to call Inference Providers",
        403,
        "hf_token_forbidden",
        "allow it to use Inference Providers",
    ),
    "a gated model": (403, "Access to model x is gated: you must be authenticated", 403, "model_gated", "with your account"),
    "no provider": (
        400,
        "The requested model is not supported by any provider you have enabled.",
        400,
        "model_not_supported",
        "settings/inference-providers",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("status", "text", "ours", "code", "hint"), REFUSALS.values(), ids=REFUSALS)
def test_what_is_wrong_with_their_account_is_told_to_them(
    app: RunningApp,
    provider: OpenIdProvider,
    stub: StubUpstream,
    status: int,
    text: str,
    ours: int,
    code: str,
    hint: str,
) -> None:
    stub.answer = lambda _: Answer(status, "application/json", pieces=[json.dumps({"error": text}).encode()])
    response = chat(app, Browser(app).sign_in().program_token())
    error = response.json["error"]
    assert (response.status, error["code"], error["fault"]) == (ours, code, "caller")
    assert hint in error["hint"]
    owners = chat(app, make_token("carol")).json["error"]
    assert (owners["code"], owners["fault"]) == (code, "owner")
    assert "huggingface.co" not in owners["hint"]
    assert "hf.co" not in owners["hint"]


def test_the_python_client_says_whose_credit_it_is(
    app: RunningApp, provider: OpenIdProvider, stub: StubUpstream
) -> None:
    stub.answer = lambda _: Answer(402, "application/json", pieces=[b'{"error": "You have depleted your credits"}'])
    for token, told in ((Browser(app).sign_in().program_token(), (402, "caller")), (make_token(), (503, "owner"))):
        with pytest.raises(CreditsExhausted) as failed:
            send_chat_message(token, [{"role": "user", "content": "hello"}], base_url=app.url)
        assert (failed.value.status, failed.value.fault) == told


def test_without_a_token_of_the_owners_everybody_pays_for_themself(
    provider: OpenIdProvider, stub: StubUpstream
) -> None:
    become(provider, "bob", "b0b2")
    with hub_app(provider, stub, HFCHAT_MEMBERS="bob", HUGGINGFACE_API_TOKEN="") as served:
        browser = Browser(served).sign_in()
        assert chat(served, browser.program_token()).json["reply"] == "hello there "
        assert paid_by(stub) == [provider.tokens[0]]
        assert browser.pay("owner").code == "invalid_request"
        # Who was invited with a token has nobody who pays.
        assert "stand-in" in chat(served, make_token("carol")).json["reply"]
    assert len(stub.headers) == 1


# --- going on


LARGE = json.dumps({"messages": [{"role": "user", "content": "x " * 900}], "max_tokens": 100}).encode()


def test_a_member_goes_on_on_their_own_credit_and_back(
    app: RunningApp, provider: OpenIdProvider, stub: StubUpstream
) -> None:
    become(provider, "bob", "b0b3")
    stub.answer = lambda _: Answer(pieces=[event("x", finish_reason="stop"), usage_event(900, 1), DONE])
    browser = Browser(app).sign_in()
    before = browser.program_token()
    while (said := chat(app, before, body=LARGE)).status == 200:
        pass
    assert said.code == "budget_exceeded"
    assert set(paid_by(stub)) == {OWNERS_TOKEN}
    left, ends = said.headers["X-Budget-Remaining"], claims(browser.session)["exp"]
    stub.headers.clear()
    assert browser.pay("self").status == 204
    assert claims(browser.session)["exp"] <= ends
    for _ in range(3):
        assert chat(app, browser.program_token(), body=LARGE).status == 200
    assert set(paid_by(stub)) == {provider.tokens[0]}
    # A program goes on as it was made, and the owner's allowance is as it was.
    said = chat(app, before, body=LARGE)
    assert (said.code, said.headers["X-Budget-Remaining"]) == ("budget_exceeded", left)
    assert browser.pay("owner").status == 204
    assert chat(app, browser.program_token(), body=LARGE).code == "budget_exceeded"
    assert set(paid_by(stub)) == {provider.tokens[0]}


def claims(token: str) -> dict[str, Any]:
    return dict(jwt.decode(token, KEY, algorithms=["HS256"]))


NOT_CHOSEN: dict[str, tuple[dict[str, str], bytes, int]] = {
    "no script of ours": ({"Sec-Fetch-Site": "same-origin"}, b'{"payer": "self"}', 400),
    "another site": ({**HERE, "Sec-Fetch-Site": "cross-site"}, b'{"payer": "self"}', 401),
    "another payer": (HERE, b'{"payer": "carol"}', 400),
    "a further field": (HERE, b'{"payer": "self", "subject": "carol"}', 400),
    "no JSON": (HERE, b"payer=self", 400),
    "much": (HERE, b'{"payer": "self"' + b" " * 2000 + b"}", 413),
}


@pytest.mark.parametrize(("headers", "body", "status"), NOT_CHOSEN.values(), ids=NOT_CHOSEN)
def test_nothing_but_the_pages_own_button_chooses_who_pays(
    app: RunningApp, provider: OpenIdProvider, headers: dict[str, str], body: bytes, status: int
) -> None:
    become(provider, "bob", "b0b4")
    said = Browser(app).sign_in().ask("POST", "/payer", headers, body)
    assert (said.status, said.headers["Set-Cookie"]) == (status, None)


def test_nobody_else_is_paid_for_by_the_owner(app: RunningApp, provider: OpenIdProvider) -> None:
    browser = Browser(app).sign_in()
    assert browser.pay("owner").code == "invalid_request"
    assert browser.pay("self").status == 204
    invited = {"Cookie": f"__Host-hfchat_session={make_token()}"}
    assert ask(app, "POST", "/payer", {**HERE, **invited}, b'{"payer": "self"}').code == "invalid_request"
    bearer = {"Authorization": f"Bearer {browser.session}"}
    assert ask(app, "POST", "/payer", {**HERE, **bearer}, b'{"payer": "self"}').code == "invalid_request"


def test_after_signing_out_no_call_is_made_with_their_token(
    app: RunningApp, provider: OpenIdProvider, stub: StubUpstream
) -> None:
    browser = Browser(app).sign_in()
    token = browser.program_token()
    browser.ask("POST", "/logout")
    assert chat(app, token).code == "revoked_token"
    assert stub.headers == []


def test_a_token_that_has_ended_is_renewed(provider: OpenIdProvider, stub: StubUpstream) -> None:
    provider.lifetime_s = 0
    with hub_app(provider, stub) as served:
        token = Browser(served).sign_in().program_token()
        assert chat(served, token).status == 200
        assert paid_by(stub) == [provider.tokens[2]]
        provider.refresh.clear()  # taken back at Hugging Face
        response = chat(served, token)
        assert (response.status, response.code) == (401, "hf_token_invalid")
        assert len(stub.headers) == 1


def test_limits_of_a_person_hold_but_for_a_budget_that_is_not_the_owners_to_give(
    provider: OpenIdProvider, stub: StubUpstream, tmp_path: Path
) -> None:
    url = f"sqlite:///{tmp_path}/ledger.db"

    async def limit(**limits: Any) -> None:
        ledger = Ledger(open_store(url))
        await ledger.people.change(f"hf:{ALICE['sub']}", lambda before: replace(before, **limits))
        await ledger.close()

    with hub_app(provider, stub, HFCHAT_STORE=url) as served:
        token = Browser(served).sign_in().program_token()
        asyncio.run(limit(budget=Limit(1, "day"), rate=Limit(2, "minute")))
        assert [chat(served, token).status for _ in range(3)] == [200, 200, 429]
        asyncio.run(limit(blocked=True))
        assert chat(served, token).code == "revoked_token"
