"""Retry: a call that failed before its first word is tried again, with backoff and `Retry-After`, while the caller has patience.

The order: the model as it was requested, the same model at other live providers, then the owner's fallback models. A model that
failed rests for a while: the others are tried before it. After the first word nothing is tried again. What comes before it, such
as an event with the role alone, is held back until then.
"""

import asyncio
import math
import random
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace

from hfchat.chat.turn_log import log_failure
from hfchat.errors import (
    HfchatError,
    ModelLoading,
    UpstreamError,
    UpstreamOverloaded,
    UpstreamRateLimited,
    UpstreamTimeout,
    UpstreamUnavailable,
)
from hfchat.types import ROUTING_RULES, Call, Delta, Part, Upstream

# The first wait; it doubles with each round, by a random part less, so that callers who failed together do not return together.
BACKOFF_S = 0.5
MAX_BACKOFF_S = 8.0
# A provider that names a longer wait is not waited for where another may answer at once.
SHORT_WAIT_S = 2.0
# How long a model that failed rests; longer where its provider says so. The router itself tries one again after an hour.
REST_S = 20.0
MAX_REST_S = 120.0
MAX_RESTING = 1000
# The most live providers of one model that are tried.
OTHER_PROVIDERS = 3
# The most attempts of one turn, whatever there is left to try.
MAX_ATTEMPTS = 8
# The most parts held back before the first word. An ordinary reply has one or two; some providers send them as a keep-alive.
MAX_HELD = 256
# A model rests for all callers, so only after errors that one caller's request cannot cause.
_RESTING_ERRORS = (UpstreamRateLimited, UpstreamOverloaded, ModelLoading, UpstreamUnavailable, UpstreamTimeout)

# The names of the live providers of a model.
ProvidersOf = Callable[[str], Awaitable[Sequence[str]]]


@dataclass(frozen=True, slots=True)
class Attempt:
    """A model is called: the first time, or, with a `number` above 1, after `error` of the attempt before."""

    model: str
    number: int = 1
    error: HfchatError | None = None


OnAttempt = Callable[[Attempt], None]


async def no_providers(_: str) -> Sequence[str]:
    """For a server that is no router."""
    return ()


class Retries:
    """Calls models upstream until one answers. Used in one event loop."""

    def __init__(
        self, upstream: Upstream, providers_of: ProvidersOf = no_providers, *, backoff_s: float = BACKOFF_S
    ) -> None:
        self._upstream = upstream
        self._backoff_s = backoff_s
        self._providers_of = providers_of
        self._resting: dict[str, float] = {}

    async def stream(
        self, call: Call, fallback_models: Sequence[str], *, deadline: float, request_id: str, on_attempt: OnAttempt
    ) -> AsyncGenerator[Part, None]:
        """The parts of the first answer. No wait ends after `deadline`, of the event loop's clock; what has not been tried yet
        is tried after it too, once. There are no more than `MAX_ATTEMPTS`.

        Raises: the error of the last attempt.
        """
        schedule = Schedule((call.model, *fallback_models), deadline, self._backoff_s)
        if self._rests(call.model):
            schedule.add(await self._other_providers(call.model, None))
            schedule.put_last(self._rests)
        number, error = 1, None
        while True:
            began, model = False, schedule.model
            held: list[Part] = []
            on_attempt(Attempt(model, number, error))
            try:
                model_call = call if model == call.model else replace(call, model=model)
                async with aclosing(self._upstream.stream(model_call)) as parts:
                    async for part in parts:
                        if not began:
                            if len(held) < MAX_HELD and _says_nothing(part):
                                held.append(part)
                                continue
                            began = True
                            for waiting in held:
                                yield waiting
                        yield part
                self._resting.pop(model, None)
                return
            except HfchatError as failure:
                if began or not (failure.fallback_may_help or passes(failure)):
                    raise
                error = failure
            if number == 1 and model == call.model and passes(error):
                schedule.add(await self._other_providers(model, error.provider))
            wait_s = schedule.after(error) if number < MAX_ATTEMPTS else None
            # No model rests after a failure on a caller's own account: others may use it.
            may_rest = isinstance(error, _RESTING_ERRORS) and call.own_token is None
            if may_rest and (wait_s is None or schedule.model != model):
                self._rest(model, error)
            if wait_s is None:
                raise error
            error.request_id = request_id
            log_failure(error, call, event="trying_again" if schedule.model == model else "trying_another_model")
            number += 1
            await asyncio.sleep(wait_s)

    async def _other_providers(self, model: str, failed: str | None) -> list[str]:
        """The same model at other live providers, where the router may choose the provider."""
        name, _, suffix = model.partition(":")
        if suffix and suffix not in ROUTING_RULES:
            return []
        others = [f"{name}:{provider}" for provider in await self._providers_of(name) if provider != failed]
        return sorted(others, key=self._rests)[:OTHER_PROVIDERS]

    def _rests(self, model: str) -> bool:
        return self._resting.get(model, 0.0) > asyncio.get_running_loop().time()

    def _rest(self, model: str, error: HfchatError) -> None:
        """Leave it alone for a while, or for as long as the provider says."""
        now = asyncio.get_running_loop().time()
        if len(self._resting) >= MAX_RESTING:
            self._resting = {name: until for name, until in self._resting.items() if until > now}
        if len(self._resting) < MAX_RESTING:
            self._resting[model] = now + min(max(error.stated_wait_s or 0, REST_S), MAX_REST_S)


def _says_nothing(part: Part) -> bool:
    """Whether it is a delta without a word, as before the first word of many replies."""
    return isinstance(part, Delta) and not (part.content or part.reasoning or part.tool_text or part.extras)


class Schedule:
    """The models of one turn, in rounds, with a wait between them. In each round every model is tried once; the first of all
    once more before any other.
    """

    def __init__(self, models: Sequence[str], deadline: float, backoff_s: float = BACKOFF_S) -> None:
        self._models = list(dict.fromkeys(models))
        self._deadline = deadline
        self._backoff_s = backoff_s
        self._index = 0
        self._round = 0
        self._first = True
        self._soonest_s = math.inf

    @property
    def model(self) -> str:
        """The model to try now."""
        return self._models[self._index]

    def add(self, models: Sequence[str]) -> None:
        """Try these after the one of now."""
        self._models[self._index + 1 : self._index + 1] = [model for model in models if model not in self._models]

    def put_last(self, rests: Callable[[str], bool]) -> None:
        """Put those that rest behind the others. Before the first attempt."""
        self._models.sort(key=rests)

    def after(self, error: HfchatError) -> float | None:
        """Go to the model to try after this failure: the seconds to wait before; None where there is none, or no patience."""
        once_more, self._first = self._first and len(self._models) > 1, False
        if passes(error):
            wait_s = max(error.stated_wait_s or 0.0, self._backoff())
            self._soonest_s = min(self._soonest_s, wait_s)
            if once_more and wait_s <= SHORT_WAIT_S and self._in_time(wait_s):
                return wait_s
            self._index += 1
        else:
            del self._models[self._index]
        if self._index < len(self._models):
            return 0.0 if self._round == 0 or self._in_time(0) else None
        wait_s, self._soonest_s = self._soonest_s, math.inf
        self._index, self._round = 0, self._round + 1
        return wait_s if self._models and self._in_time(wait_s) else None

    def _in_time(self, wait_s: float) -> bool:
        return asyncio.get_running_loop().time() + wait_s < self._deadline

    def _backoff(self) -> float:
        longest_s = float(min(self._backoff_s * 2 ** min(self._round, 10), MAX_BACKOFF_S))
        return longest_s * random.uniform(0.5, 1)


def passes(error: HfchatError) -> bool:
    """Whether the same model may answer a little later."""
    return isinstance(error, UpstreamError) and error.retryable
