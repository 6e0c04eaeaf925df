"""One turn of a chat, whichever door it came by, in order: authorize, stream, and account for it. Knows no web framework."""

import logging
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import replace

from hfchat.conversation import build_messages, check_messages
from hfchat.error_body import say
from hfchat.errors import (
    ExpiredToken,
    HfchatError,
    InsufficientScope,
    InternalError,
    ModelNotAllowed,
    ModelNotSupported,
)
from hfchat.logs import log_crash, log_event
from hfchat.types import CHAT_SCOPE, Call, Caller, ChatRequest, Delta, Finish, Policy, Upstream

logger = logging.getLogger(__name__)

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
    if policy.models is not None and model not in policy.models:
        raise ModelNotAllowed(param="model", model=model)
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

    async def stream(
        self, caller: Caller, request: ChatRequest, *, request_id: str
    ) -> AsyncGenerator[Delta | Finish, None]:
        """The deltas of the reply, then a Finish. Closing it, or cancelling, ends the call upstream.

        Raises: an error of `hfchat.errors`, before the first delta or after it; ExpiredToken where the token ends
        while the reply is on its way.
        """
        began = time.monotonic()
        outcome = "abandoned"
        finish: Finish | None = None
        try:
            call = authorize(caller, request, self._policy)
            call = replace(call, messages=build_messages(self._system_prompt, call.messages))
            async with aclosing(self._answer(call)) as parts:
                async for part in parts:
                    if caller.expired(self._clock()):
                        raise ExpiredToken
                    if isinstance(part, Finish):
                        finish, outcome = part, "ok"
                    yield part
        except HfchatError as error:
            outcome = error.code
            error.request_id = request_id
            if isinstance(error, ModelNotSupported):
                named = request.model is not None and error.model in (None, request.model)
                error.fault = "caller" if named else "owner"
            _log_failure(error)
            raise
        except Exception as crash:
            outcome = InternalError.code
            log_crash(logger, crash, request_id=request_id)
            raise InternalError(request_id=request_id) from crash
        finally:
            _log_turn(caller, request_id, outcome, finish, time.monotonic() - began)

    async def _answer(self, call: Call) -> AsyncGenerator[Delta | Finish, None]:
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
                log_event(logger, logging.INFO, "trying_another_model", model=model, code=error.code)


def _log_failure(error: HfchatError) -> None:
    if error.fault == "caller":
        return
    message, hint = say(error, "en", to_owner=True)
    words = error.detail if error.fault == "owner" else ""
    facts = {"request_id": error.request_id, "code": error.code, "fault": error.fault, "model": error.model}
    log_event(logger, logging.WARNING, "turn_failed", **facts, message=message, hint=hint, provider_says=words)


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
