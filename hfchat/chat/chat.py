"""One turn of a chat, whichever door it came by, in order: authorize, reserve, stream, settle. Knows no web framework."""

import logging
import re
import time
from collections.abc import AsyncGenerator, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import replace
from typing import Any

from hfchat.chat.conversation import build_messages, check_messages
from hfchat.chat.turns import Turns
from hfchat.errors import (
    HfchatError,
    InsufficientScope,
    InternalError,
    InvalidRequest,
    ModelNotAllowed,
    ModelNotSupported,
)
from hfchat.http.error_response import say
from hfchat.ledger.ledger import Ledger, OnQuota
from hfchat.logs import log_crash, log_event
from hfchat.types import CHAT_SCOPE, MODEL_ID, Call, Caller, ChatRequest, Delta, Finish, Message, Upstream

logger = logging.getLogger(__name__)

LONG_WORD = 12
# A provider's words have some hundred parts, and to look for each in so much takes 20 ms.
MAX_SEARCHED_CHARS = 500_000

OnModel = Callable[[str], None]

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


def authorize(caller: Caller, request: ChatRequest, system_prompt: str | None = None) -> Call:
    """The call that this caller may make, the owner's prompt in front.

    Raises: InsufficientScope, InvalidRequest, ModelNotAllowed.
    """
    policy = caller.policy
    if CHAT_SCOPE not in caller.scopes:
        raise InsufficientScope("scope_missing", params={"value": CHAT_SCOPE})
    if not request.passthrough:
        check_messages(request.messages)
    model = request.model or policy.default_model
    if not MODEL_ID.fullmatch(model):
        # The hub client posts to a model that is an address, with the owner's token.
        raise InvalidRequest("model_id", param="model")
    if policy.models is not None and model not in policy.models:
        offered = ", ".join(sorted(policy.models)[:20])
        reason = "models_offered" if offered else "no_models"
        raise ModelNotAllowed(reason, params={"value": offered}, param="model", model=model)
    return Call(
        model=model,
        messages=build_messages(system_prompt, request.messages),
        max_tokens=min(request.max_tokens or policy.max_tokens, policy.max_tokens),
        temperature=request.temperature,
        top_p=request.top_p,
        options=request.options,
        replies=request.replies,
        passthrough=request.passthrough,
        stream=request.stream,
        body_bytes=request.body_bytes,
    )


class Chat:
    """The core that both doors enter."""

    def __init__(
        self,
        upstream: Upstream,
        ledger: Ledger,
        *,
        system_prompt: str | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._upstream = upstream
        self._system_prompt = system_prompt
        self._turns = Turns(ledger, clock)

    def end_turns(self, error: type[HfchatError]) -> None:
        """End every turn in progress with this error, at once. Called in the event loop."""
        self._turns.end_all(error)

    async def close(self) -> None:
        """Once no turn is in progress any more, and before the ledger is closed."""
        await self._turns.close()

    async def stream(
        self,
        caller: Caller,
        request: ChatRequest,
        *,
        request_id: str,
        on_quota: OnQuota = lambda _: None,
        on_model: OnModel = lambda _: None,
    ) -> AsyncGenerator[Delta | Finish, None]:
        """The deltas of the reply, then a Finish. Closing it, or cancelling, ends the call upstream; all of it is charged
        once, however it ends. `on_quota` hears what the caller has left, `on_model` each model before it is asked.

        Raises: an error of `hfchat.errors`, before the first delta or after it; ExpiredToken or RevokedToken as soon as the
        token ends or is taken back, also while the provider is silent.
        """
        began = time.monotonic()
        outcome = "abandoned"
        finish: Finish | None = None
        failure: BaseException | None = None
        with self._turns.begin(caller, on_quota) as turn:
            try:
                call = authorize(caller, request, self._system_prompt)
                await turn.reserve(call)
                async with aclosing(self._stream(caller, call, request_id, on_model)) as parts:
                    while (part := await turn.next_of(parts)) is not None:
                        if isinstance(part, Finish):
                            finish, outcome = part, "ok"
                        yield part
                        if finish is not None:
                            break
            except HfchatError as error:
                failure, outcome = error, error.code
                _note_failure(error, request, request_id)
                raise
            except Exception as crash:
                failure, outcome = crash, InternalError.code
                unforeseen = InternalError(request_id=request_id)
                unforeseen.__cause__ = crash
                _log_failure(unforeseen, request)
                raise unforeseen from crash
            finally:
                try:
                    await turn.settle(failure)
                finally:
                    ended = turn.ended()
                    outcome = ended.code if ended and outcome == "abandoned" else outcome
                    if turn.reserved:
                        _log_turn(caller, request_id, outcome, finish, time.monotonic() - began)
                    else:
                        _log_refused(caller, request_id, outcome)

    async def _stream(
        self, caller: Caller, call: Call, request_id: str, on_model: OnModel
    ) -> AsyncGenerator[Delta | Finish, None]:
        """The first of the call's model and the fallback models that answers. Once a delta was given there is no other."""
        models = list(dict.fromkeys((call.model, *caller.policy.fallback_models)))
        for model in models:
            began = False
            on_model(model)
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
                _log_failure(error, call, event="trying_another_model")


def _note_failure(error: HfchatError, request: ChatRequest, request_id: str) -> None:
    """Say whose fault it is, and write it into the log."""
    error.request_id = request_id
    if isinstance(error, ModelNotSupported):
        named = request.model is not None and error.model in (None, request.model)
        error.fault = "caller" if named else "owner"
    _log_failure(error, request)


def _log_failure(error: HfchatError, asked: ChatRequest | Call, *, event: str = "turn_failed") -> None:
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
        provider_says=""
        if _echoes(error.provider_message, _written(asked.messages, asked.options))
        else error.provider_message,
    )


def _written(messages: Sequence[Message], options: Mapping[str, Any]) -> Iterator[str]:
    """Every text in what a person sent; in calls of tools and in options those that are more than a word of the form."""
    yield from (message.content for message in messages)
    level: list[Any] = [*(message.raw for message in messages), options]
    while level:
        value = level.pop()
        if isinstance(value, str) and len(value) >= LONG_WORD:
            yield value
        elif isinstance(value, Mapping):
            level += value.values()
        elif isinstance(value, list):
            level += value


def _echoes(words: str, texts: Iterable[str]) -> bool:
    """Whether a provider's words quote what a person sent, which no log may have.

    A short message as a whole, or 11 letters in a row of a longer one. Much text is not looked through, and counts as quoted.
    """
    span, step = 8, 4
    parts = {words[start : start + span] for start in range(0, len(words) - span + 1, step)}
    left = MAX_SEARCHED_CHARS
    for text in texts:
        left -= len(text)
        if left < 0:
            return True
        said = text.strip()
        if not said:
            continue
        if len(said) < span + step:
            quoted = re.search(rf"(?<!\w){re.escape(said)}(?!\w)", words) is not None
        else:
            quoted = any(part in said for part in parts)
        if quoted:
            return True
    return False


def _log_refused(caller: Caller, request_id: str, code: str) -> None:
    """As the gate writes it. No limit holds for these, so the log sums them up, as it does not with turns."""
    log_event(
        logger, logging.INFO, "refused", request_id=request_id, code=code, subject=caller.subject, jti=caller.token_id
    )


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
        estimated=usage.estimated or None if usage else None,
        took_ms=round(took_s * 1000),
    )
