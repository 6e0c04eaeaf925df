"""The Python client of a running hfchat: one function, which raises the same errors that the server means."""

import json
from collections.abc import Iterable, Mapping

import httpx2

from hfchat.errors import (
    HfchatError,
    InvalidRequest,
    InvalidToken,
    UpstreamInvalidResponse,
    UpstreamTimeout,
    UpstreamUnavailable,
    catalogue,
)


def send_chat_message(
    token: str,
    messages: Iterable[Mapping[str, str]],
    *,
    base_url: str = "http://127.0.0.1:7860",
    model: str | None = None,
    max_tokens: int | None = None,
    temperature: float | None = None,
    top_p: float | None = None,
    timeout_s: float = 120,
) -> str:
    """The model's reply to a conversation.

    `messages` are `{"role": "user" or "assistant", "content": "..."}`, oldest first, the user's last.
    `timeout_s` is the longest wait for the server to send something.

    Raises: the error of `hfchat.errors` that the server names, with its `message`, `hint`, `param`, `retry_after_s` and
    `request_id`; UpstreamUnavailable where the server cannot be reached, UpstreamTimeout where it does not answer in time,
    UpstreamInvalidResponse where what answers is not hfchat; InvalidToken or InvalidRequest where what is to be sent
    cannot be written.
    """
    token = token.strip()
    if not token.isascii() or not token.isprintable():
        raise InvalidToken(message="The token has characters that no token has: copy it again.")
    body = {"model": model, "max_tokens": max_tokens, "temperature": temperature, "top_p": top_p}
    try:
        sent = {"messages": list(messages)} | {name: value for name, value in body.items() if value is not None}
        answer = httpx2.post(
            f"{base_url.rstrip('/')}/api/ai/chat",
            # In ASCII: so a text that was cut inside an emoji can be written too.
            content=json.dumps(sent, allow_nan=False),
            headers={"Content-Type": "application/json"} | ({"Authorization": f"Bearer {token}"} if token else {}),
            timeout=httpx2.Timeout(timeout_s, connect=min(timeout_s, 10)),
        )
    except httpx2.TimeoutException as late:
        raise UpstreamTimeout(message=f"{base_url} did not answer in {timeout_s:g} seconds.") from late
    except (httpx2.HTTPError, httpx2.InvalidURL) as unreachable:
        raise UpstreamUnavailable(message=f"{base_url} cannot be reached ({type(unreachable).__name__}).") from None
    except (TypeError, ValueError) as unwritable:
        # Without the cause: an encoder's error quotes what was written.
        raise InvalidRequest(message=f"The request cannot be written as JSON ({type(unwritable).__name__}).") from None
    return _reply(answer)


def _reply(answer: httpx2.Response) -> str:
    try:
        body = answer.json()
    except (ValueError, RecursionError):
        body = None
    if isinstance(body, dict) and isinstance(body.get("reply"), str):
        return str(body["reply"])
    error = body.get("error") if isinstance(body, dict) else None
    if isinstance(error, dict) and error.get("fault") in ("caller", "owner", "upstream"):
        raise _named(error, answer.status_code)
    raise UpstreamInvalidResponse(message=f"What answers there (HTTP {answer.status_code}) is not hfchat.")


def _named(error: dict[str, object], status: int) -> HfchatError:
    known = {name: error.get(name) for name in ("param", "retry_after_s", "request_id")}
    kind = catalogue().get(str(error.get("code")), HfchatError)
    named = kind(message=str(error.get("message", "")), hint=str(error.get("hint", "")), **known)  # type: ignore[arg-type]
    # Both depend on who pays.
    named.fault, named.status = error["fault"], status  # type: ignore[assignment]
    return named
