"""Turn log: one line for each turn, and one for each failure that is not the caller's. No line quotes what a person wrote."""

import logging
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from hfchat.errors import HfchatError, InternalError
from hfchat.http.error_response import say
from hfchat.logs import log_crash, log_event
from hfchat.types import Call, Caller, ChatRequest, Finish, Message

logger = logging.getLogger(__name__)

LONG_WORD = 12
# To search so much text for the some hundred parts of a provider's message takes 20 ms.
MAX_SEARCHED_CHARS = 500_000


def log_failure(error: HfchatError, request: ChatRequest | Call, *, event: str = "turn_failed") -> None:
    """Log a failure of this request, with the owner's hint."""
    if isinstance(error, InternalError) and error.__cause__ is not None:
        log_crash(logger, error.__cause__, request_id=error.request_id)
    if error.fault == "caller":
        return
    quoted = _quotes(error.provider_message, _texts(request.messages, request.options))
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
        provider_says="" if quoted else error.provider_message,
    )


def _texts(messages: Sequence[Message], options: Mapping[str, Any]) -> Iterator[str]:
    """Every text that a person sent; of calls of tools and of options, only strings longer than a keyword."""
    yield from (message.content for message in messages)
    stack: list[Any] = [*(message.raw for message in messages), options]
    while stack:
        value = stack.pop()
        if isinstance(value, str) and len(value) >= LONG_WORD:
            yield value
        elif isinstance(value, Mapping):
            stack += value.values()
        elif isinstance(value, list):
            stack += value


def _quotes(message: str, texts: Iterable[str]) -> bool:
    """Whether a provider's message quotes what a person sent, which no log may have.

    A short text as a whole, or 11 characters in a row of a longer one. More text than MAX_SEARCHED_CHARS counts as quoted.
    """
    span, step = 8, 4
    parts = {message[start : start + span] for start in range(0, len(message) - span + 1, step)}
    remaining_chars = MAX_SEARCHED_CHARS
    for text in texts:
        remaining_chars -= len(text)
        if remaining_chars < 0:
            return True
        text = text.strip()
        if not text:
            continue
        if len(text) < span + step:
            quoted = re.search(rf"(?<!\w){re.escape(text)}(?!\w)", message) is not None
        else:
            quoted = any(part in text for part in parts)
        if quoted:
            return True
    return False


def log_refused(caller: Caller, request_id: str, code: str) -> None:
    """Log a turn that was refused before it was reserved. No rate limit counts these, so equal lines are summed up in the log."""
    log_event(
        logger, logging.INFO, "refused", request_id=request_id, code=code, subject=caller.subject, jti=caller.token_id
    )


def log_turn(caller: Caller, request_id: str, outcome: str, finish: Finish | None, took_s: float) -> None:
    """Log the outcome of a turn."""
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
        own_credit=caller.own_credit or None,
        prompt_tokens=usage.prompt_tokens if usage else None,
        completion_tokens=usage.completion_tokens if usage else None,
        estimated=usage.estimated or None if usage else None,
        took_ms=round(took_s * 1000),
    )
