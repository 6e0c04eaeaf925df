"""Before the first word a call is tried again, elsewhere and with another model; after it, and without patience, it is not."""

import asyncio
import time
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from dataclasses import replace

import pytest

from hfchat import errors as e
from hfchat.chat.retries import MAX_ATTEMPTS, MAX_RESTING, SHORT_WAIT_S, Attempt, Retries, Schedule
from hfchat.errors import HfchatError, catalogue
from hfchat.types import Call, Delta, Finish, Message, Part
from tests.support.rows import each_row

pytestmark = pytest.mark.anyio

CALL = Call("own/m", (Message("user", "hi"),), 10)
LIVE = ["one", "two", "three", "four"]
Says = Callable[[str, int], BaseException | None]


class Upstream:
    """`fails` says what the call number `n` of a model fails with; it answers where it says None."""

    def __init__(self, fails: Says, *, after: int = 0) -> None:
        self.fails = fails
        self.after = after
        self.models_called: list[str] = []

    async def stream(self, call: Call) -> AsyncGenerator[Part, None]:
        self.models_called.append(call.model)
        failure = self.fails(call.model, self.models_called.count(call.model))
        for _ in range(self.after if failure else 1):
            yield Delta("word")
        if failure is not None:
            raise failure
        yield Finish(call.model)

    async def models(self) -> list[object]:  # type: ignore[override]
        return []

    async def close(self) -> None:
        pass


async def providers(_: str) -> Sequence[str]:
    return LIVE


async def run(
    retries: Retries,
    *fallback_models: str,
    patience_s: float = 60,
    call: Call = CALL,
    heard: Sequence[type[Part]] = (Delta, Finish),
) -> tuple[list[Attempt], HfchatError | None]:
    attempts: list[Attempt] = []
    deadline = asyncio.get_running_loop().time() + patience_s
    stream = retries.stream(call, fallback_models, deadline=deadline, request_id="r", on_attempt=attempts.append)
    types: list[type[Part]] = []
    try:
        async with aclosing(stream) as parts:
            async for part in parts:
                types.append(type(part))  # noqa: PERF401  what came before an error counts
    except HfchatError as error:
        assert types in ([], list(heard))
        return attempts, error
    assert types == list(heard)
    return attempts, None


def always(*models: str, error: type[HfchatError] = e.UpstreamOverloaded) -> Says:
    return lambda model, _: error() if model in models else None


PASSES = sorted(code for code, error in catalogue().items() if issubclass(error, e.UpstreamError))


@each_row("code", catalogue())
async def test_what_passes_is_tried_again_until_it_answers_and_nothing_else(code: str) -> None:
    upstream = Upstream(lambda _, n: catalogue()[code](retry_after_s=0) if n <= 3 else None)
    attempts, error = await run(Retries(upstream, backoff_s=0.001))
    if code in PASSES:
        assert error is None
        assert [attempt.number for attempt in attempts] == [1, 2, 3, 4]
        assert [attempt.error and attempt.error.code for attempt in attempts] == [None, code, code, code]
    else:
        assert len(attempts) == 1
        assert error is not None
        assert error.code == code


@each_row("code", PASSES)
async def test_after_the_first_word_nothing_is_tried_again(code: str) -> None:
    upstream = Upstream(lambda *_: catalogue()[code](), after=1)
    attempts, error = await run(Retries(upstream, providers, backoff_s=0.001), "fall/one", heard=[Delta])
    assert error is not None
    assert error.code == code
    assert (len(attempts), upstream.models_called) == (1, ["own/m"])


async def test_the_order_is_the_model_again_then_other_providers_then_the_fallback_models() -> None:
    upstream = Upstream(always("own/m", *(f"own/m:{name}" for name in LIVE), "fall/one"))
    attempts, error = await run(Retries(upstream, providers, backoff_s=0.001), "fall/one", "fall/two")
    assert error is None
    assert upstream.models_called == [
        "own/m",
        "own/m",
        "own/m:one",
        "own/m:two",
        "own/m:three",
        "fall/one",
        "fall/two",
    ]
    assert attempts[-1].number == 7


@pytest.mark.parametrize("suffix", [":fastest", ":cheapest", ":preferred"])
async def test_a_suffix_that_leaves_the_choice_gives_way_to_a_provider(suffix: str) -> None:
    upstream = Upstream(always(f"own/m{suffix}"))
    call = Call(f"own/m{suffix}", CALL.messages, 10)
    assert (await run(Retries(upstream, providers, backoff_s=0.001), call=call))[1] is None
    assert upstream.models_called[-1] == "own/m:one"


async def test_a_provider_that_the_caller_chose_is_not_replaced() -> None:
    upstream = Upstream(lambda _, n: e.UpstreamOverloaded() if n < 3 else None)
    call = Call("own/m:two", CALL.messages, 10)
    assert (await run(Retries(upstream, providers, backoff_s=0.001), call=call))[1] is None
    assert upstream.models_called == ["own/m:two"] * 3


async def test_the_provider_that_is_known_to_have_failed_is_not_asked_next() -> None:
    def fails(model: str, _: int) -> HfchatError | None:
        error = e.UpstreamOverloaded()
        error.provider = "one"
        return error if model == "own/m" else None

    upstream = Upstream(fails)
    await run(Retries(upstream, providers, backoff_s=0.001))
    assert upstream.models_called == ["own/m", "own/m", "own/m:two"]


async def test_all_are_tried_again_while_there_is_patience() -> None:
    upstream = Upstream(lambda model, n: e.ModelLoading() if n < 3 or model == "own/m" else None)
    attempts, error = await run(Retries(upstream, backoff_s=0.001), "fall/one")
    assert error is None
    assert upstream.models_called == ["own/m", "own/m", "fall/one", "own/m", "fall/one", "own/m", "fall/one"]
    assert len(attempts) == 7


async def test_a_model_that_cannot_answer_is_not_tried_again() -> None:
    def fails(model: str, n: int) -> HfchatError | None:
        if model == "own/m":
            return e.ModelNotSupported()
        return e.ModelLoading() if n < 3 else None

    upstream = Upstream(fails)
    assert (await run(Retries(upstream, providers, backoff_s=0.001), "fall/one"))[1] is None
    assert upstream.models_called == ["own/m", "fall/one", "fall/one", "fall/one"]


async def test_how_many_attempts_there_are_has_a_bound() -> None:
    upstream = Upstream(lambda *_: e.UpstreamOverloaded())
    for fallback_models in ([], [f"fall/{n}" for n in range(20)]):
        upstream.models_called.clear()
        attempts, error = await run(Retries(upstream, providers, backoff_s=0.001), *fallback_models)
        assert isinstance(error, e.UpstreamOverloaded)
        assert len(attempts) == len(upstream.models_called) == MAX_ATTEMPTS


async def test_without_patience_each_model_is_tried_once() -> None:
    upstream = Upstream(always("own/m", "fall/one"))
    _, error = await run(Retries(upstream, backoff_s=0.001), "fall/one", patience_s=0)
    assert isinstance(error, e.UpstreamOverloaded)
    assert upstream.models_called == ["own/m", "fall/one"]


async def test_the_wait_ends_within_the_patience() -> None:
    upstream = Upstream(always("own/m"))
    began = time.monotonic()
    _, error = await run(Retries(upstream, backoff_s=0.02), patience_s=0.1)
    assert isinstance(error, e.UpstreamOverloaded)
    assert 2 <= len(upstream.models_called) <= 10
    assert time.monotonic() - began >= 0.01


async def test_a_stated_wait_beyond_the_patience_is_an_error_at_once_that_states_it() -> None:
    upstream = Upstream(lambda *_: e.UpstreamRateLimited(retry_after_s=3600))
    attempts, error = await run(Retries(upstream, backoff_s=0.001))
    assert len(attempts) == 1
    assert error is not None
    assert error.retry_after_s == 3600


async def test_where_another_may_answer_a_long_wait_is_not_waited_for() -> None:
    upstream = Upstream(lambda model, _: e.UpstreamRateLimited(retry_after_s=30) if model == "own/m" else None)
    assert (await run(Retries(upstream, backoff_s=0.001), "fall/one"))[1] is None
    assert upstream.models_called == ["own/m", "fall/one"]


def schedule(*models: str, patience_s: float = 60) -> Schedule:
    return Schedule(models, asyncio.get_running_loop().time() + patience_s, backoff_s=0.4)


WAITS: dict[str, tuple[HfchatError, float, float]] = {
    "a backoff": (e.UpstreamUnavailable(), 0.2, 0.4),
    "our own default is no word of the provider's": (e.ModelLoading(), 0.2, 0.4),
    "what the provider says": (e.ModelLoading(retry_after_s=7), 7, 7),
    "zero is a backoff": (e.UpstreamOverloaded(retry_after_s=0), 0.2, 0.4),
}


@pytest.mark.parametrize(("error", "least_s", "most_s"), WAITS.values(), ids=WAITS)
async def test_the_wait_is_the_providers_or_a_backoff(error: HfchatError, least_s: float, most_s: float) -> None:
    wait_s = schedule("m").after(error)
    assert wait_s is not None
    assert least_s <= wait_s <= most_s


async def test_the_backoff_doubles_with_each_round_up_to_a_bound() -> None:
    rounds = schedule("m", patience_s=1e6)
    waits = [rounds.after(e.UpstreamUnavailable()) or 0 for _ in range(40)]
    assert all(0.2 * 2**n <= wait_s <= 0.4 * 2**n for n, wait_s in enumerate(waits[:4]))
    assert max(waits) <= 8


async def test_a_round_waits_for_the_first_that_will_be_back() -> None:
    rounds = schedule("m", "n")
    assert rounds.after(e.UpstreamOverloaded(retry_after_s=9)) == 0.0
    assert rounds.model == "n"
    assert rounds.after(e.UpstreamOverloaded(retry_after_s=5)) == 5
    assert rounds.model == "m"


async def test_once_more_is_only_for_a_short_wait() -> None:
    rounds = schedule("m", "n")
    assert rounds.after(e.UpstreamOverloaded(retry_after_s=int(SHORT_WAIT_S))) == SHORT_WAIT_S
    assert rounds.model == "m"


async def test_what_was_given_up_is_left_alone_for_a_while() -> None:
    upstream = Upstream(always("own/m"))
    retries = Retries(upstream, providers, backoff_s=0.001)
    for _ in range(3):
        assert (await run(retries))[1] is None
    assert upstream.models_called == ["own/m", "own/m", "own/m:one", "own/m:one", "own/m:one"]


async def test_what_answers_again_is_left_alone_no_longer() -> None:
    upstream = Upstream(lambda model, n: e.UpstreamOverloaded() if n < 3 or model != "own/m" else None)
    retries = Retries(upstream, backoff_s=0.001)
    await run(retries, "fall/one")  # both fail and rest, then the first answers
    await run(retries, "fall/one")
    assert upstream.models_called[-1] == "own/m"


async def test_what_fails_on_a_callers_own_account_rests_for_nobody() -> None:
    async def own_token() -> str:
        return "hf_own"

    retries = Retries(Upstream(lambda *_: e.UpstreamRateLimited()), providers, backoff_s=0.001)
    _, error = await run(retries, call=replace(CALL, own_token=own_token), patience_s=0)
    assert isinstance(error, e.UpstreamRateLimited)
    assert retries._resting == {}


RESTING = {
    "upstream_rate_limited", "upstream_overloaded", "model_loading", "upstream_unavailable", "upstream_timeout"
}  # fmt: skip


@each_row("code", PASSES)
async def test_a_model_rests_for_everybody_only_after_what_no_caller_can_provoke(code: str) -> None:
    retries = Retries(Upstream(lambda *_: catalogue()[code]()), backoff_s=0.001)
    await run(retries, patience_s=0)
    assert set(retries._resting) == ({"own/m"} if code in RESTING else set())


async def test_where_all_rest_they_are_tried_all_the_same() -> None:
    upstream = Upstream(always("own/m", "fall/one"))
    retries = Retries(upstream, backoff_s=0.001)
    for _ in range(2):
        await run(retries, "fall/one", patience_s=0)
    assert upstream.models_called == ["own/m", "fall/one"] * 2


async def test_how_many_rest_has_a_bound() -> None:
    upstream = Upstream(lambda *_: e.UpstreamUnavailable())
    retries = Retries(upstream, backoff_s=0.001)
    for n in range(MAX_RESTING + 5):
        await run(retries, "fall/one", patience_s=0, call=Call(f"own/m{n}", CALL.messages, 10))
    assert len(retries._resting) <= MAX_RESTING
