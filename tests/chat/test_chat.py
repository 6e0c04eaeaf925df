"""One turn: who may, what goes upstream, which model answers, how it ends, and what the log has of it."""

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import aclosing
from dataclasses import replace

import pytest

from hfchat import errors as e
from hfchat.chat.chat import Chat, authorize
from hfchat.chat.token_count import UsageCounter
from hfchat.errors import HfchatError, catalogue
from hfchat.ledger.ledger import Ledger
from hfchat.ledger.sqlite_store import SqliteStore
from hfchat.limits import Limit
from hfchat.types import Call, Caller, ChatRequest, Delta, Finish, Message, Policy, Upstream, Usage
from tests.support.rows import each_row

POLICY = Policy("own/default", frozenset({"own/default", "own/other"}), max_tokens=100)
ALICE = Caller("alice", "jti-1", 2000.0, POLICY)
LEDGER = SqliteStore(None)
ASKED = (Message("user", "Zq8 question"),)
Part = Delta | Finish
Says = Callable[[Call], list[Part | BaseException]]


class Fake:
    """Says what it is told to, call by call, and keeps what it was asked and how it was left."""

    def __init__(self, says: Says | None = None) -> None:
        self.says = says or (lambda call: [Delta("Zq8 "), Delta("reply"), Finish(call.model, usage=Usage(3, 2))])
        self.calls: list[Call] = []
        self.closed: list[str] = []

    async def stream(self, call: Call) -> AsyncGenerator[Part, None]:
        self.calls.append(call)
        try:
            for part in self.says(call):
                await asyncio.sleep(0)
                if isinstance(part, BaseException):
                    raise part
                yield part
        finally:
            self.closed.append(call.model)

    async def close(self) -> None:
        pass

    @property
    def models(self) -> list[str]:
        return [call.model for call in self.calls]


@pytest.fixture(scope="module", autouse=True)
def ledger_is_closed() -> Iterator[None]:
    yield
    asyncio.run(LEDGER.close())


def chat(upstream: Upstream, **more: object) -> Chat:
    return Chat(upstream, Ledger(LEDGER), **{"clock": lambda: 1000.0, **more})  # type: ignore[arg-type]


def who_has(policy: Policy) -> Caller:
    return replace(ALICE, policy=policy)


async def turn(
    core: Chat, request: ChatRequest | None = None, *, caller: Caller = ALICE
) -> tuple[list[Part], HfchatError | None]:
    parts: list[Part] = []
    try:
        async with aclosing(core.stream(caller, request or ChatRequest(ASKED), request_id="r1")) as stream:
            async for part in stream:
                parts.append(part)  # noqa: PERF401  what came before an error counts
    except HfchatError as error:
        return parts, error
    return parts, None


def failing(codes: dict[str, str], *, after: int = 0) -> Fake:
    """The models of `codes` fail with these, after so many deltas; the others answer."""

    def says(call: Call) -> list[Part | BaseException]:
        said: list[Part | BaseException] = [Delta(f"{call.model} {n}") for n in range(after or 1)]
        if call.model in codes:
            return [*said[:after], catalogue()[codes[call.model]](model=call.model)]
        return [*said, Finish(call.model)]

    return Fake(says)


# --- authorize

ALLOWED: dict[str, tuple[ChatRequest, Call]] = {
    "the defaults": (ChatRequest(ASKED), Call("own/default", ASKED, 100)),
    "an offered model": (ChatRequest(ASKED, "own/other"), Call("own/other", ASKED, 100)),
    "the default by name": (ChatRequest(ASKED, "own/default"), Call("own/default", ASKED, 100)),
    "fewer tokens": (ChatRequest(ASKED, max_tokens=7), Call("own/default", ASKED, 7)),
    "as many tokens": (ChatRequest(ASKED, max_tokens=100), Call("own/default", ASKED, 100)),
    "more tokens": (ChatRequest(ASKED, max_tokens=101), Call("own/default", ASKED, 100)),
    "sampling": (ChatRequest(ASKED, None, None, 0.0, 0.5), Call("own/default", ASKED, 100, 0.0, 0.5)),
}


@each_row(("request_", "call"), ALLOWED.values(), ids=ALLOWED)
def test_a_request_becomes_the_call_that_the_caller_may_make(request_: ChatRequest, call: Call) -> None:
    assert authorize(ALICE, request_) == call


def test_any_model_may_be_named_where_the_owner_offers_all() -> None:
    anybody = who_has(Policy("own/default", None))
    assert authorize(anybody, ChatRequest(ASKED, "any/model")).model == "any/model"


def caller(*scopes: str) -> Caller:
    return replace(ALICE, scopes=frozenset(scopes))


REFUSED: dict[str, tuple[Caller, ChatRequest, type[HfchatError], str | None]] = {
    "no scope": (caller(), ChatRequest(ASKED), e.InsufficientScope, None),
    "another scope": (caller("admin"), ChatRequest(ASKED), e.InsufficientScope, None),
    "a scope like it": (caller("chatter"), ChatRequest(ASKED), e.InsufficientScope, None),
    "scope before form": (caller(), ChatRequest(()), e.InsufficientScope, None),
    "no messages": (ALICE, ChatRequest(()), e.InvalidRequest, "messages"),
    "empty message": (ALICE, ChatRequest((Message("user", " "),)), e.InvalidRequest, "messages[0].content"),
    "not the user's": (ALICE, ChatRequest((Message("assistant", "a"),)), e.InvalidRequest, "messages[0].role"),
    "another model": (ALICE, ChatRequest(ASKED, "not/offered"), e.ModelNotAllowed, "model"),
    "another provider": (ALICE, ChatRequest(ASKED, "own/default:dear"), e.ModelNotAllowed, "model"),
    "another case": (ALICE, ChatRequest(ASKED, "Own/Default"), e.ModelNotAllowed, "model"),
    "a fallback": (ALICE, ChatRequest(ASKED, "fall/back"), e.ModelNotAllowed, "model"),
    "no model left": (who_has(replace(POLICY, models=frozenset())), ChatRequest(ASKED), e.ModelNotAllowed, "model"),
    "over the budget": (
        who_has(replace(POLICY, budget=(Limit(99, "day"),))),
        ChatRequest(ASKED),
        e.BudgetExceeded,
        None,
    ),
}


@each_row(("who", "request_", "kind", "param"), REFUSED.values(), ids=REFUSED)
@pytest.mark.anyio
async def test_what_a_caller_may_not_is_refused_before_anything_is_sent(
    who: Caller, request_: ChatRequest, kind: type[HfchatError], param: str | None
) -> None:
    upstream = Fake()
    falls_back = replace(who, policy=replace(who.policy, fallback_models=("fall/back",)))
    parts, error = await turn(chat(upstream), request_, caller=falls_back)
    assert type(error) is kind
    assert (error.param, error.request_id) == (param, "r1")
    assert (parts, upstream.calls) == ([], [])


# --- the turn


@pytest.mark.anyio
async def test_a_turn_gives_the_deltas_and_the_end_as_they_come() -> None:
    parts, error = await turn(chat(Fake()))
    assert parts == [Delta("Zq8 "), Delta("reply"), Finish("own/default", usage=Usage(3, 2))]
    assert error is None


CONVERSATIONS = {
    "one message": ASKED,
    "a conversation": (Message("user", "a"), Message("assistant", "b"), *ASKED),
    "another system prompt": (Message("system", "Obey me."), *ASKED),
}


@pytest.mark.parametrize("messages", CONVERSATIONS.values(), ids=CONVERSATIONS)
@pytest.mark.anyio
async def test_the_owners_system_prompt_is_always_first(messages: tuple[Message, ...]) -> None:
    upstream = failing({"own/default": "model_loading"})
    falls_back = who_has(Policy("own/default", None, ("fall/back",)))
    await turn(chat(upstream, system_prompt="Be kind."), ChatRequest(messages), caller=falls_back)
    first, *others = upstream.calls[0].messages
    assert (first.role, first.content.partition("\n")[0]) == ("system", "Be kind.")
    assert (first.content, tuple(others)) in (
        ("Be kind.", messages),
        (f"Be kind.\n\n{messages[0].content}", messages[1:]),
    )
    assert [call.messages for call in upstream.calls] == [(first, *others)] * 2


@pytest.mark.anyio
async def test_without_a_system_prompt_the_conversation_goes_as_it_is() -> None:
    upstream = Fake()
    await turn(chat(upstream))
    assert upstream.calls == [Call("own/default", ASKED, 100)]


# --- fallback models

FALLBACK = who_has(Policy("own/default", None, ("fall/one", "own/default", "fall/two", "fall/one")))


def estimated(*contents: str) -> Usage:
    """What a reply to ASKED took that nobody counted."""
    usage_counter = UsageCounter(Call("own/default", ASKED, 100))
    for content in contents:
        usage_counter.add(Delta(content))
    assert usage_counter.usage().estimated
    return usage_counter.usage()


PASSES_ON = {
    "model_not_supported",
    "model_gated",
    "upstream_rate_limited",
    "model_loading",
    "upstream_overloaded",
    "upstream_timeout",
    "upstream_unavailable",
    "upstream_interrupted",
    "upstream_invalid_response",
}


@each_row("code", catalogue())
@pytest.mark.anyio
async def test_another_model_is_tried_only_where_it_may_help(code: str) -> None:
    upstream = failing({"own/default": code})
    parts, error = await turn(chat(upstream), caller=FALLBACK)
    if code in PASSES_ON:
        assert upstream.models == ["own/default", "fall/one"]
        assert parts == [Delta("fall/one 0"), Finish("fall/one", usage=estimated("fall/one 0"))]
        assert error is None
    else:
        assert upstream.models == ["own/default"]
        assert error is not None
        assert error.code == code


@pytest.mark.anyio
async def test_the_fallback_models_are_tried_in_order_each_once_and_the_last_error_is_told() -> None:
    upstream = failing({"own/default": "model_gated", "fall/one": "model_loading", "fall/two": "upstream_overloaded"})
    parts, error = await turn(chat(upstream), caller=FALLBACK)
    assert upstream.models == upstream.closed == ["own/default", "fall/one", "fall/two"]
    assert parts == []
    assert isinstance(error, e.UpstreamOverloaded)


@pytest.mark.anyio
async def test_the_model_that_was_named_is_tried_first_and_the_default_is_no_fallback() -> None:
    upstream = failing({"own/other": "model_loading", "fall/one": "model_loading"})
    falls_back = who_has(Policy("own/default", None, ("fall/one", "fall/two")))
    parts, _ = await turn(chat(upstream), ChatRequest(ASKED, "own/other", 5, 0.1, 0.2), caller=falls_back)
    assert upstream.calls == [Call(model, ASKED, 5, 0.1, 0.2) for model in ("own/other", "fall/one", "fall/two")]
    assert parts[-1] == Finish("fall/two", usage=estimated("fall/two 0"))


@each_row("code", sorted(PASSES_ON))
@pytest.mark.anyio
async def test_once_a_delta_was_given_there_is_no_other_model(code: str) -> None:
    upstream = failing({"own/default": code}, after=2)
    parts, error = await turn(chat(upstream), caller=FALLBACK)
    assert parts == [Delta("own/default 0"), Delta("own/default 1")]
    assert error is not None
    assert error.code == code
    assert upstream.models == upstream.closed == ["own/default"]


# --- whose fault

# what was named, what fails, whose fault
FAULTS: dict[str, tuple[str | None, list[str], str]] = {
    "the default, left out": (None, ["own/default"], "owner"),
    "the default, named": ("own/default", ["own/default"], "caller"),
    "another, named": ("own/other", ["own/other"], "caller"),
    "the fallback for the default": (None, ["own/default", "fall/one"], "owner"),
    "the fallback for a named one": ("own/other", ["own/other", "fall/one"], "owner"),
}


@pytest.mark.parametrize(("named", "fails", "fault"), FAULTS.values(), ids=FAULTS)
@pytest.mark.anyio
async def test_an_unsupported_model_is_the_fault_of_who_named_it(
    named: str | None, fails: list[str], fault: str
) -> None:
    upstream = failing(dict.fromkeys(fails, "model_not_supported"))
    falls_back = who_has(Policy("own/default", None, tuple(fails[1:])))
    _, error = await turn(chat(upstream), ChatRequest(ASKED, named), caller=falls_back)
    assert isinstance(error, e.ModelNotSupported)
    assert (error.fault, error.model) == (fault, fails[-1])


@pytest.mark.anyio
async def test_an_error_without_a_model_is_about_the_one_that_was_named() -> None:
    _, error = await turn(chat(Fake(lambda _: [e.ModelNotSupported()])), ChatRequest(ASKED, "own/other"))
    assert error is not None
    assert error.fault == "caller"


@pytest.mark.parametrize("code", ["model_gated", "credits_exhausted", "hf_token_invalid"])
@pytest.mark.anyio
async def test_another_fault_of_the_owner_stays_theirs(code: str) -> None:
    _, error = await turn(chat(failing({"own/other": code})), ChatRequest(ASKED, "own/other"))
    assert error is not None
    assert error.fault == "owner"


# --- the end


@pytest.mark.parametrize("read", [0, 1, 2], ids=["unread", "after a delta", "after two"])
@pytest.mark.anyio
async def test_closing_a_turn_closes_the_call_upstream(read: int) -> None:
    upstream = Fake()
    stream = chat(upstream).stream(ALICE, ChatRequest(ASKED), request_id="r1")
    for _ in range(read):
        await anext(stream)
    assert upstream.closed == []
    await stream.aclose()
    assert upstream.closed == upstream.models == ["own/default"][: min(read, 1)]


@pytest.mark.anyio
async def test_cancelling_a_turn_closes_the_call_upstream() -> None:
    class Silent(Fake):
        async def stream(self, call: Call) -> AsyncGenerator[Part, None]:
            self.calls.append(call)
            try:
                yield Delta("a")
                await asyncio.Event().wait()
            finally:
                self.closed.append(call.model)

    upstream = Silent()
    task = asyncio.create_task(turn(chat(upstream)))
    until = time.monotonic() + 5
    while not upstream.calls and time.monotonic() < until:
        await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert upstream.closed == ["own/default"]


class FallingSilent:
    """An upstream that gives some deltas and then nothing more."""

    def __init__(self, given: int) -> None:
        self.given = given
        self.closed = False

    async def stream(self, _: Call) -> AsyncGenerator[Delta | Finish, None]:
        try:
            for _number in range(self.given):
                yield Delta("word ")
            await asyncio.sleep(60)
        finally:
            self.closed = True

    async def close(self) -> None:
        pass


@pytest.mark.parametrize("given", [0, 1, 2], ids=["before the first delta", "after one", "after two"])
@pytest.mark.anyio
async def test_a_token_that_ends_ends_the_reply_though_the_provider_is_silent(given: int) -> None:
    upstream = FallingSilent(given)
    parts, error = await turn(chat(upstream, clock=lambda: 1999.95))
    assert isinstance(error, e.ExpiredToken)
    assert error.request_id == "r1"
    assert parts == [Delta("word ")] * given
    assert upstream.closed


class Slow(Fake):
    """Says its first word at once, and the rest once the caller's token has expired."""

    async def stream(self, call: Call) -> AsyncGenerator[Part, None]:
        yield Delta("word ")
        await asyncio.sleep(0.1)
        async for part in super().stream(call):
            yield part


@pytest.mark.anyio
@pytest.mark.parametrize("issuer", ["https://clerk.example.org", ""], ids=["a provider's", "a backend's"])
async def test_a_reply_that_began_under_anothers_token_is_finished_after_its_exp(issuer: str) -> None:
    caller = replace(ALICE, subject=f"in time, {issuer}", issuer=issuer)
    parts, error = await turn(chat(Slow(), clock=lambda: 1999.95), caller=caller)
    assert error is None
    assert isinstance(parts[-1], Finish)
    (totals,) = await Ledger(LEDGER).totals(caller.subject)
    assert (totals.requests, totals.prompt_tokens, totals.held_tokens) == (1, 3, 0)


@pytest.mark.anyio
@pytest.mark.parametrize("issuer", ["https://clerk.example.org", "", "hfchat"])
async def test_a_revocation_ends_a_reply_whoever_issued_its_token(issuer: str) -> None:
    upstream = FallingSilent(1)
    caller = replace(ALICE, issuer=issuer, token_id=f"revoked-{issuer}")
    running = asyncio.create_task(turn(chat(upstream), caller=caller))
    await asyncio.sleep(0.05)
    await Ledger(LEDGER).revoke(caller.token_id, 5e9)
    _, error = await running
    assert isinstance(error, e.RevokedToken)
    assert upstream.closed


@pytest.mark.anyio
async def test_turns_in_progress_can_be_ended_from_outside() -> None:
    upstream = FallingSilent(1)
    core = chat(upstream)
    asyncio.get_running_loop().call_later(0.05, core.end_turns, e.Overloaded)
    parts, error = await turn(core)
    assert isinstance(error, e.Overloaded)
    assert parts == [Delta("word ")]
    assert upstream.closed


@pytest.mark.anyio
async def test_a_token_is_good_until_its_end() -> None:
    assert (await turn(chat(Fake(), clock=lambda: 1999.0)))[1] is None


ADDRESSES = [
    "http://127.0.0.1:9/x",
    "https://example.org/v1",
    "HTTP://x",
    "//example.org",
    "a b",
    "a\nb",
    "x?y",
    "a/../b:c:d",
]


@each_row("model", ADDRESSES)
@pytest.mark.anyio
async def test_a_model_that_is_no_models_id_goes_nowhere(model: str) -> None:
    upstream = Fake()
    anything = who_has(Policy(default_model="own/default", models=None))
    _, error = await turn(chat(upstream), ChatRequest((Message("user", "hello"),), model=model), caller=anything)
    assert isinstance(error, e.InvalidRequest)
    assert error.param == "model"
    assert upstream.calls == []


# --- the log


def events(caplog: pytest.LogCaptureFixture) -> dict[str, dict[str, object]]:
    return {
        record.getMessage(): record.__dict__["facts"]
        for record in caplog.records
        if record.name == "hfchat.chat.turn_log"
    }


@pytest.fixture
def log(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level(logging.DEBUG)
    return caplog


@pytest.mark.anyio
async def test_a_turn_is_logged_with_what_it_took(log: pytest.LogCaptureFixture) -> None:
    finish = Finish("own/default", usage=Usage(3, 2), provider="novita")
    await turn(chat(Fake(lambda _: [Delta("a"), finish])))
    (facts,) = events(log).values()
    assert isinstance(facts.pop("took_ms"), int)
    assert facts == {
        "request_id": "r1",
        "subject": "alice",
        "jti": "jti-1",
        "outcome": "ok",
        "model": "own/default",
        "provider": "novita",
        "prompt_tokens": 3,
        "completion_tokens": 2,
    }


@pytest.mark.anyio
async def test_a_turn_that_nobody_counted_is_logged_as_an_estimate(log: pytest.LogCaptureFixture) -> None:
    parts, _ = await turn(chat(Fake(lambda _: [Delta("a "), Delta("reply"), Finish("own/default")])))
    usage = estimated("a ", "reply")
    assert parts[-1] == Finish("own/default", usage=usage)
    logged = events(log)["turn"]
    assert (logged["prompt_tokens"], logged["completion_tokens"]) == (usage.prompt_tokens, usage.completion_tokens)
    assert logged["estimated"] is True


@pytest.mark.anyio
async def test_a_turn_that_is_left_is_logged_as_abandoned(log: pytest.LogCaptureFixture) -> None:
    stream = chat(Fake()).stream(ALICE, ChatRequest(ASKED), request_id="r1")
    await anext(stream)
    await stream.aclose()
    assert events(log)["turn"]["outcome"] == "abandoned"


@pytest.mark.anyio
async def test_a_turn_that_breaks_is_an_internal_error_and_logged_without_its_words(
    log: pytest.LogCaptureFixture,
) -> None:
    upstream = Fake(lambda _: [Delta("a"), ZeroDivisionError("Zq8 written text")])
    parts, error = await turn(chat(upstream))
    assert parts == [Delta("a")]
    assert isinstance(error, e.InternalError)
    assert error.request_id == "r1"
    assert "Zq8" not in f"{error} {error!r}"
    assert events(log)["turn"]["outcome"] == "internal_error"
    assert events(log)["crash"]["exception"] == "ZeroDivisionError"
    assert events(log)["crash"]["request_id"] == "r1"
    assert all("Zq8" not in repr(record.__dict__) for record in log.records)
    assert upstream.closed == ["own/default"]


@pytest.mark.parametrize("code", catalogue())
@pytest.mark.anyio
async def test_a_failed_turn_is_logged_and_the_owner_told_what_is_theirs(
    code: str, log: pytest.LogCaptureFixture
) -> None:
    await turn(chat(failing({"own/default": code})))
    logged = events(log)
    assert logged["turn"]["outcome"] == code
    if catalogue()[code].fault == "caller":
        assert "turn_failed" not in logged
    else:
        failed = logged["turn_failed"]
        assert (failed["request_id"], failed["code"], failed["model"]) == ("r1", code, "own/default")
        assert failed["message"]
        assert failed["hint"]


@pytest.mark.anyio
async def test_what_is_refused_before_any_limit_is_no_turn_in_the_log(log: pytest.LogCaptureFixture) -> None:
    # Of turns the log has every line; these a caller can repeat without end.
    _, error = await turn(chat(Fake()), ChatRequest((Message("assistant", "hi"),)))
    assert isinstance(error, e.InvalidRequest)
    refused = {"request_id": "r1", "code": "invalid_request", "subject": "alice", "jti": ALICE.token_id}
    assert events(log) == {"refused": refused}


@pytest.mark.anyio
async def test_the_log_has_the_page_that_mends_it(log: pytest.LogCaptureFixture) -> None:
    await turn(chat(failing({"own/default": "model_not_supported"})))
    assert "https://hf.co/settings/inference-providers" in str(events(log)["turn_failed"]["hint"])


@pytest.mark.anyio
async def test_a_model_that_is_passed_over_is_logged(log: pytest.LogCaptureFixture) -> None:
    await turn(chat(failing({"own/default": "model_loading"})), caller=FALLBACK)
    passed_over = events(log)["trying_another_model"]
    assert passed_over["request_id"] == "r1"
    assert (passed_over["model"], passed_over["code"]) == ("own/default", "model_loading")
    assert passed_over["hint"]
    assert events(log)["turn"]["model"] == "fall/one"


@pytest.mark.parametrize("code", ["", *catalogue()], ids=lambda code: code or "ok")
@pytest.mark.anyio
async def test_nothing_that_was_written_is_logged(code: str, log: pytest.LogCaptureFixture) -> None:
    def says(call: Call) -> list[Part | BaseException]:
        end = catalogue()[code](param="messages[0].content") if code else Finish(call.model)
        return [Delta("Zq8 reply", "Zq8 thought"), end]

    messages = (Message("user", "Zq8 a"), Message("assistant", "Zq8 b"), Message("user", "Zq8 c"))
    core = chat(Fake(says), system_prompt="Zq8 system")
    parts, _ = await turn(core, ChatRequest(messages), caller=FALLBACK)
    assert parts[0] == Delta("Zq8 reply", "Zq8 thought")
    assert log.records
    for record in log.records:
        assert "Zq8" not in repr(record.__dict__)


QUOTES = {
    "a word": ("invalid value: hunter2", "hunter2", False),
    "a part of a long message": (
        "cannot parse 'my dog is called Rex'",
        "Well, my dog is called Rex and he barks.",
        False,
    ),
    "nothing of it": ("CUDA out of memory", "tell me about the sea", True),
    "a word inside another": ("this model is overheated", "hi", True),
}


@pytest.mark.parametrize(("words", "written", "logged"), QUOTES.values(), ids=QUOTES)
@pytest.mark.anyio
async def test_a_providers_words_are_logged_unless_they_quote_the_conversation(
    words: str, written: str, logged: bool, log: pytest.LogCaptureFixture
) -> None:
    upstream = Fake(lambda _: [e.UpstreamUnavailable(provider_message=words)])
    await turn(chat(upstream), ChatRequest((Message("user", written),)))
    assert (events(log)["turn_failed"].get("provider_says") == words) is logged


@pytest.mark.anyio
async def test_a_turn_that_was_ended_goes_on_no_further_though_more_is_there_at_once() -> None:
    core = chat(Fake(lambda call: [Delta("one "), Delta("two "), Finish(call.model)]))
    async with aclosing(core.stream(ALICE, ChatRequest(ASKED), request_id="r1")) as stream:
        assert await anext(stream) == Delta("one ")
        core.end_turns(e.Overloaded)
        with pytest.raises(e.Overloaded):
            await anext(stream)
