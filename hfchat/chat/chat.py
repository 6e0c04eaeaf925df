"""Chat turn, for the API and the page, in order: authorize, reserve, stream, settle. Knows no web framework."""

import asyncio
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from dataclasses import replace
from functools import partial

from hfchat.chat.conversation import build_messages, check_messages
from hfchat.chat.retries import OnAttempt, ProvidersOf, Retries, no_providers
from hfchat.chat.turn_log import log_failure, log_refused, log_turn
from hfchat.chat.turns import Turns
from hfchat.errors import (
    HfchatError,
    InsufficientScope,
    InternalError,
    InvalidRequest,
    ModelNotAllowed,
    ModelNotSupported,
)
from hfchat.ledger.ledger import Ledger, OnQuota
from hfchat.types import CHAT_SCOPE, MODEL_ID, Call, Caller, ChatRequest, Delta, Finish, Upstream

# Gives the Hugging Face token of a caller who pays for themself.
OwnToken = Callable[[Caller], Awaitable[str]]


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
        max_tokens=min(request.max_tokens or policy.default_tokens, policy.max_tokens),
        temperature=request.temperature,
        top_p=request.top_p,
        options=request.options,
        replies=request.replies,
        passthrough=request.passthrough,
        stream=request.stream,
        body_bytes=request.body_bytes,
    )


class Chat:
    """Runs turns, for the API and for the page."""

    def __init__(
        self,
        upstream: Upstream,
        ledger: Ledger,
        *,
        system_prompt: str | None = None,
        patience_s: float = 0,
        providers_of: ProvidersOf = no_providers,
        own_token: OwnToken | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """`patience_s` is how long a caller is kept waiting, in all, for a place and for what failed and may heal."""
        self._retries = Retries(upstream, providers_of)
        self._patience_s = patience_s
        self._own_token = own_token
        self._system_prompt = system_prompt
        self._turns = Turns(ledger, clock)

    def end_turns(self, error: type[HfchatError]) -> None:
        """End every turn in progress with this error. Called in the event loop."""
        self._turns.end_all(error)

    async def close(self) -> None:
        """Call it when no turn is in progress any more, and before the ledger is closed."""
        await self._turns.close()

    async def stream(
        self,
        caller: Caller,
        request: ChatRequest,
        *,
        request_id: str,
        on_quota: OnQuota = lambda _: None,
        on_attempt: OnAttempt = lambda _: None,
    ) -> AsyncGenerator[Delta | Finish, None]:
        """The deltas of the reply, then a Finish. Closing it, or cancelling, ends the call upstream. The turn is charged once,
        however it ends. `on_quota` gets the caller's quota, `on_attempt` each model before it is called.

        Raises: an error of `hfchat.errors`, before the first delta or after it; RevokedToken as soon as the token is
        revoked, ExpiredToken as soon as our own one expires, also while the provider is silent.
        """
        began = time.monotonic()
        deadline = asyncio.get_running_loop().time() + self._patience_s
        outcome = "abandoned"
        finish: Finish | None = None
        failure: BaseException | None = None
        with self._turns.begin(caller, on_quota) as turn:
            try:
                call = self._paid(caller, authorize(caller, request, self._system_prompt))
                await turn.reserve(call, deadline)
                reply = self._retries.stream(
                    call,
                    caller.policy.fallback_models,
                    deadline=deadline,
                    request_id=request_id,
                    on_attempt=on_attempt,
                )
                async with aclosing(reply) as parts:
                    while (part := await turn.next_part(parts)) is not None:
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
                internal_error = InternalError(request_id=request_id)
                internal_error.__cause__ = crash
                log_failure(internal_error, request)
                raise internal_error from crash
            finally:
                try:
                    await turn.settle(failure)
                finally:
                    ended = turn.ended()
                    outcome = ended.code if ended and outcome == "abandoned" else outcome
                    if turn.reserved:
                        log_turn(caller, request_id, outcome, finish, time.monotonic() - began)
                    else:
                        log_refused(caller, request_id, outcome)

    def _paid(self, caller: Caller, call: Call) -> Call:
        """The call; with their own token where the caller pays, and never with the owner's instead."""
        if not caller.own_credit:
            return call
        if self._own_token is None:
            raise InternalError
        return replace(call, own_token=partial(self._own_token, caller))


def _note_failure(error: HfchatError, request: ChatRequest, request_id: str) -> None:
    """Set whose fault it is, and log it."""
    error.request_id = request_id
    if isinstance(error, ModelNotSupported) and not error.own_account:
        named_by_caller = request.model is not None and error.model in (None, request.model)
        error.fault = "caller" if named_by_caller else "owner"
    log_failure(error, request)
