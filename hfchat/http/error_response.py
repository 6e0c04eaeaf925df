"""Error response: the JSON body and headers of an error, the same on every route, and its sentences for the log."""

from typing import Any

from hfchat.errors import HfchatError
from hfchat.i18n.amounts import spoken
from hfchat.i18n.errors import DETAILS, ERRORS, THE_MODEL
from hfchat.i18n.language import ENGLISH, Language


def say(error: HfchatError, language: Language, *, to_owner: bool = False) -> tuple[str, str]:
    """`(message, hint)` in this language. `to_owner` chooses the owner's hint, with a link to the page for it, if any."""
    text = ERRORS[language][error.code]
    model = f"`{error.model}`" if error.model else THE_MODEL[language]
    facts = {
        "model": model,
        "detail": in_words(error, language),
        "wait": error.retry_after_s or 0,
        "page": (error.model or "").partition(":")[0],
    }
    sentence, hint = text.message, text.owner_hint if to_owner and text.owner_hint else text.hint
    if error.own_account:
        sentence, hint = text.payer_message, text.payer_hint
    field = f"`{error.param}`: " if error.param and "{detail}" in sentence else ""
    facts["detail"] = f"{field}{facts['detail']}"
    message = sentence.format(**facts).strip()
    return message[:1].upper() + message[1:], hint.format(**facts)


def in_words(error: HfchatError, language: Language) -> str:
    """The reason of an error in this language; without one, the provider's message as it is."""
    if not error.reason:
        return error.provider_message
    return DETAILS[language][error.reason].format(**spoken(error.params, language))


def error_body(
    error: HfchatError, language: Language = ENGLISH, *, request_id: str = "", to_owner: bool = False
) -> dict[str, dict[str, Any]]:
    """The JSON object of every error answer; OpenAI's clients read `message`, `type`, `param` and `code` of it."""
    message, hint = say(error, language, to_owner=to_owner)
    return {
        "error": {
            "code": error.code,
            "message": message,
            "hint": hint,
            "fault": error.fault,
            "retryable": error.retryable,
            "retry_after_s": error.retry_after_s,
            "param": error.param,
            "type": error.type,
            "request_id": request_id or error.request_id,
        }
    }


def hint_in_message(body: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """The body of an error, what to do in its message too: OpenAI's clients show nothing else of it."""
    error = body["error"]
    return {"error": {**error, "message": f"{error['message']} {error['hint']}".strip()}}


def error_headers(error: HfchatError) -> dict[str, str]:
    """The headers that belong to an error: `WWW-Authenticate` (RFC 6750 section 3), `Retry-After`, `Allow`,
    `Accept-Encoding` (RFC 9110 section 15.5.16), and `X-Should-Retry`, which OpenAI's clients obey.
    """
    headers = {}
    if error.status == 401:
        challenge = "" if error.code == "missing_token" else ', error="invalid_token"'
        headers["WWW-Authenticate"] = f'Bearer realm="hfchat"{challenge}'
    if error.code == "insufficient_scope":
        headers["WWW-Authenticate"] = 'Bearer realm="hfchat", error="insufficient_scope"'
    if error.retry_after_s is not None and error.status in (429, 503):
        headers["Retry-After"] = str(error.retry_after_s)
    if error.code == "method_not_allowed":
        headers["Allow"] = str(error.params["value"])
    if error.code == "unsupported_encoding":
        headers["Accept-Encoding"] = "identity"
    if not error.worth_repeating:
        headers["X-Should-Retry"] = "false"
    return headers
