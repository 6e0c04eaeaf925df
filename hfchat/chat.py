"""One turn of a chat, whichever door it came by, in order: authorize, stream, and account for it. Knows no web framework."""

import asyncio
import logging
import re
import time
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from dataclasses import replace

from hfchat.conversation import build_messages, check_messages
from hfchat.error_body import say
from hfchat.errors import (
    ExpiredToken,
    HfchatError,
    InsufficientScope,
    InternalError,
    InvalidRequest,
    ModelNotAllowed,
    ModelNotSupported,
)
from hfchat.logs import log_crash, log_event
from hfchat.types import CHAT_SCOPE, MODEL_ID, Call, Caller, ChatRequest, Delta, Finish, Message, Part, Policy, Upstream

logger = logging.getLogger(__name__)

_LONGEST_TURN_S = 86_400.0
# With these another model may well answer; a refused token or an empty account refuses every model.
_ANOTHER_MODEL_MAY_HELP = frozenset(
    {
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
)


def authorize(caller: Caller, request: ChatRequest, policy: Policy) -> Call:
    """The call that this caller may make. Raises: InsufficientScope, InvalidRequest, ModelNotAllowed."""
    if CHAT_SCOPE not in caller.scopes:
        raise InsufficientScope(f"scope_missing|{CHAT_SCOPE}")
    check_messages(request.messages)
    model = request.model or policy.default_model
    if not MODEL_ID.fullmatch(model):
        # The hub client posts to a model that is an address, with the owner's token.
        raise InvalidRequest("model_id", param="model")
    if policy.models is not None and model not in policy.models:
        raise ModelNotAllowed(", ".join(sorted(policy.models)[:20]), param="model", model=model)
    return Call(
        model=model,
        messages=request.messages,
        max_tokens=min(request.max_tokens or policy.max_tokens, policy.max_tokens),
        temperature=request.temperature,
        top_p=request.top_p,
    )


class Chat:
    """The core that both doors enter."""

    def __init__(
        self,
        upstream: Upstream,
        policy: Policy,
        *,
        system_prompt: str | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._upstream = upstream
        self._policy = policy
        self._system_prompt = system_prompt
        self._clock = clock
        self._endings: set[_Ending] = set()

    def end_turns(self, error: type[HfchatError]) -> None:
        """End every turn in progress with this error, at once. Called in the event loop."""
        for ending in self._endings:
            ending.end(error)

    async def stream(
        self, caller: Caller, request: ChatRequest, *, request_id: str
    ) -> AsyncGenerator[Delta | Finish, None]:
        """The deltas of the reply, then a Finish. Closing it, or cancelling, ends the call upstream.

        Raises: an error of `hfchat.errors`, before the first delta or after it; ExpiredToken as soon as the token ends,
        also while the provider is silent.
        """
        began = time.monotonic()
        outcome = "abandoned"
        finish: Finish | None = None
        ending = _Ending()
        left_s = min(max(caller.expires_at - self._clock(), 0), _LONGEST_TURN_S)
        expiry = asyncio.get_running_loop().call_later(left_s, ending.end, ExpiredToken)
        self._endings.add(ending)
        try:
            call = authorize(caller, request, self._policy)
            call = replace(call, messages=build_messages(self._system_prompt, call.messages))
            async with aclosing(self._answer(call, request_id)) as parts:
                while (part := await ending.next_of(parts)) is not None:
                    if isinstance(part, Finish):
                        finish, outcome = part, "ok"
                    yield part
        except HfchatError as error:
            outcome = error.code
            error.request_id = request_id
            if isinstance(error, ModelNotSupported):
                named = request.model is not None and error.model in (None, request.model)
                error.fault = "caller" if named else "owner"
            _log_failure(error, request.messages)
            raise
        except Exception as crash:
            outcome = InternalError.code
            unforeseen = InternalError(request_id=request_id)
            unforeseen.__cause__ = crash
            _log_failure(unforeseen, request.messages)
            raise unforeseen from crash
        finally:
            expiry.cancel()
            self._endings.discard(ending)
            _log_turn(caller, request_id, outcome, finish, time.monotonic() - began)

    async def _answer(self, call: Call, request_id: str) -> AsyncGenerator[Delta | Finish, None]:
        """The first of the call's model and the fallback models that answers. Once a delta was given there is no other."""
        models = list(dict.fromkeys((call.model, *self._policy.fallback_models)))
        for model in models:
            began = False
            try:
                async with aclosing(self._upstream.stream(replace(call, model=model))) as parts:
                    async for part in parts:
                        began = True
                        yield part
                return
            except HfchatError as error:
                if began or model == models[-1] or error.code not in _ANOTHER_MODEL_MAY_HELP:
                    raise
                error.request_id = request_id
                _log_failure(error, call.messages, event="trying_another_model")


class _Ending:
    """Ends a turn from outside, whether its provider speaks or is silent."""

    def __init__(self) -> None:
        self._error: type[HfchatError] | None = None
        self._wait: asyncio.Timeout | None = None

    def end(self, error: type[HfchatError]) -> None:
        """Raise this error where the turn waits, or where it next would."""
        self._error = error
        if self._wait is not None and not self._wait.expired():
            self._wait.reschedule(asyncio.get_running_loop().time())

    async def next_of(self, parts: AsyncGenerator[Part, None]) -> Part | None:
        """The next part, or None after the last. Raises: the error, where the turn is ended first."""
        if self._error is not None:
            raise self._error
        try:
            async with asyncio.timeout(None) as self._wait:
                return await anext(parts, None)
        except TimeoutError:
            if self._error is None:
                raise
            raise self._error from None
        finally:
            self._wait = None


def _log_failure(error: HfchatError, messages: Sequence[Message], *, event: str = "turn_failed") -> None:
    if isinstance(error, InternalError) and error.__cause__ is not None:
        log_crash(logger, error.__cause__, request_id=error.request_id)
    if error.fault == "caller":
        return
    message, hint = say(error, "en", to_owner=True)
    log_event(
        logger,
        logging.WARNING,
        event,
        request_id=error.request_id,
        code=error.code,
        fault=error.fault,
        model=error.model,
        message=message,
        hint=hint,
        cause=type(error.__cause__).__name__ if error.__cause__ else None,
        provider_status=error.provider_status,
        provider_request_id=error.provider_request_id,
        provider_says="" if _echoes(error.detail, messages) else error.detail,
    )


def _echoes(words: str, messages: Sequence[Message]) -> bool:
    """Whether a provider's words quote the conversation, which no log may have.

    A short message as a whole, or 11 letters in a row of a longer one.
    """
    span, step = 8, 4
    parts = {words[start : start + span] for start in range(0, len(words) - span + 1, step)}
    for message in messages:
        said = message.content.strip()
        if len(said) < span + step:
            quoted = re.search(rf"(?<!\w){re.escape(said)}(?!\w)", words) is not None
        else:
            quoted = any(part in said for part in parts)
        if quoted:
            return True
    return False


def _log_turn(caller: Caller, request_id: str, outcome: str, finish: Finish | None, took_s: float) -> None:
    usage = finish.usage if finish else None
    log_event(
        logger,
        logging.INFO,
        "turn",
        request_id=request_id,
        subject=caller.subject,
        jti=caller.token_id,
        outcome=outcome,
        model=finish.model if finish else None,
        provider=finish.provider if finish else None,
        prompt_tokens=usage.prompt_tokens if usage else None,
        completion_tokens=usage.completion_tokens if usage else None,
        took_ms=round(took_s * 1000),
    )
