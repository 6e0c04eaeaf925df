"""Error translation: a failure upstream gets its name among `hfchat.errors`, by type, status and body, here and nowhere else."""

import json
import socket
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import httpx2
from huggingface_hub import errors as hub

from hfchat import errors as e
from hfchat.upstream.failure_rules import error_by_status, error_meant
from hfchat.upstream.failure_text import clean, find_number, is_page, parse_body, plain, sentences, wait_s


@dataclass(frozen=True, slots=True)
class Refusal:
    """A response that is no reply: an HTTP status of 300 or more, or an error inside a 200."""

    status: int
    body: bytes | str | dict[str, Any] | list[Any] | None = field(default=None, repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)


# Exceptions of other libraries, subclasses first; any other is a fault of ours.
_BY_TYPE: tuple[tuple[tuple[type[BaseException], ...], type[e.HfchatError]], ...] = (
    ((httpx2.PoolTimeout,), e.Overloaded),
    ((aiohttp.InvalidURL, aiohttp.TooManyRedirects, aiohttp.NonHttpUrlClientError), e.EndpointRetired),
    ((aiohttp.ConnectionTimeoutError, aiohttp.ClientConnectorError), e.UpstreamUnavailable),
    ((aiohttp.ClientHttpProxyError,), e.UpstreamUnavailable),
    ((aiohttp.ServerTimeoutError,), e.UpstreamTimeout),
    ((aiohttp.ContentTypeError, aiohttp.ClientResponseError), e.UpstreamInvalidResponse),
    ((aiohttp.ClientPayloadError, aiohttp.ClientError), e.UpstreamInterrupted),
    ((httpx2.ConnectTimeout, httpx2.ConnectError, httpx2.ProxyError), e.UpstreamUnavailable),
    ((httpx2.TimeoutException, hub.InferenceTimeoutError, TimeoutError), e.UpstreamTimeout),
    ((httpx2.TooManyRedirects, httpx2.UnsupportedProtocol, httpx2.InvalidURL), e.EndpointRetired),
    ((httpx2.DecodingError,), e.UpstreamInvalidResponse),
    ((httpx2.LocalProtocolError,), e.InternalError),
    ((ConnectionRefusedError, socket.gaierror), e.UpstreamUnavailable),
    ((httpx2.TransportError, httpx2.StreamError, EOFError, ConnectionError), e.UpstreamInterrupted),
    ((hub.OverloadedError,), e.UpstreamOverloaded),
    ((hub.ValidationError,), e.UpstreamRejected),
    ((hub.GatedRepoError,), e.ModelGated),
    ((hub.TextGenerationError, hub.OfflineModeIsEnabled), e.UpstreamUnavailable),
    ((hub.LocalTokenNotFoundError,), e.HfTokenInvalid),
    ((json.JSONDecodeError, UnicodeError, RecursionError), e.UpstreamInvalidResponse),
    ((httpx2.HTTPError, OSError), e.UpstreamUnavailable),
)


def translate(failure: Refusal | Exception) -> e.HfchatError:
    """Our error for any failure upstream. Never raises; an unknown failure is an `InternalError`."""
    if isinstance(failure, e.HfchatError):
        return failure
    if isinstance(failure, Refusal):
        return _refused(failure)
    response = getattr(failure, "response", None)
    if isinstance(failure, httpx2.HTTPError) and isinstance(response, httpx2.Response) and response.status_code >= 300:
        try:
            body = response.content
        except httpx2.StreamError:
            body = b""
        return _refused(Refusal(response.status_code, body, response.headers))
    return next((error() for types, error in _BY_TYPE if isinstance(failure, types)), e.InternalError())


def _refused(refusal: Refusal) -> e.HfchatError:
    body = parse_body(refusal.body)
    texts = sentences(body)
    text = plain(texts)
    statuses = [refusal.status if isinstance(refusal.status, int) else 0]
    if statuses == [200] and (code := find_number(body, ("code", "status", "status_code", "statusCode"))) is not None:
        statuses += [int(code)] if 400 <= code < 600 else []
    error_type = error_meant(text, statuses)
    if error_type is None and statuses[0] == 404 and is_page(refusal.body):
        error_type = e.EndpointRetired
    error_type = error_type or error_by_status(statuses[-1])
    detail = max(texts, key=lambda sentence: min(sentence.count(" "), 3), default="")
    retry_after_s = wait_s(refusal.headers, body, text) if error_type.retryable else None
    error = error_type(provider_message=clean(detail), retry_after_s=retry_after_s)
    error.provider_status = refusal.status
    error.provider = refusal.headers.get("x-inference-provider")
    error.provider_request_id = clean(str(refusal.headers.get("x-request-id", ""))[:100]) if refusal.headers else None
    return error
