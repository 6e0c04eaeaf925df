"""Whatever goes wrong upstream becomes one of our errors here, in `translate`, by status and body, and nowhere else.

Status alone misleads: providers send 413 for a rate limit, 403 for a context overflow, 429 for an empty balance. So the
words of the answer are asked first, in the order of `_RULES`, and the status decides where they say nothing.
"""

import asyncio
import email.utils
import json
import math
import re
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import httpx2
from huggingface_hub import errors as hub

from hfchat import errors as e

MAX_WAIT_S = 86_400
_MAX_DETAIL = 300
_MAX_DEPTH = 6


@dataclass(frozen=True, slots=True)
class Refusal:
    """An answer that is no reply: an HTTP status of 300 or more, or an error inside a 200."""

    status: int
    body: bytes | str | dict[str, Any] | list[Any] | None = field(default=None, repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)


def _rule(
    error: type[e.HfchatError], words: str, statuses: str = ""
) -> tuple[type[e.HfchatError], re.Pattern[str], str]:
    return error, re.compile(words, re.IGNORECASE | re.DOTALL), statuses


# The third part, where it is given, is a regular expression that the status must match in full.
_RULES = (
    _rule(e.EndpointRetired, r"api-inference\.huggingface\.co|use https?://router\.huggingface|cannot (post|get) /"),
    _rule(e.UpstreamUnavailable, r"missing field .name.|\d{3} (client|server) error: .{0,80} for url"),
    _rule(e.UpstreamRateLimited, r"error code: 1015\b"),
    _rule(e.UpstreamUnavailable, r"error code: 1\d{3}\b|cloudflare|attention required", r"403|5\d\d"),
    _rule(
        e.CreditsExhausted,
        r"insufficient[_ ](account )?(balance|funds?|credits?|quota)|(not[_ ]|n.t (have )?)enough[_ ](balance|credits?|funds)"
        r"|(balance|funds|credits?) (is |are |has |have |been )*(insufficient|too low|exhausted|depleted|used up|not enough|negative)"
        r"|(depleted|exceeded|exhausted|used( up)?|reached|out of|no( more| remaining)?|run out of) (all )?(your |of |the )*"
        r"(monthly |included |free |inference |remaining |prepaid |pre-paid |usage )*(credits?\b|balance|spend(ing)? (limit|cap))"
        r"|pre-?paid credits|free monthly usage limit|monthly (usage|spend(ing)?) limit|included (credits|usage)"
        r"|payment required|billing (details|hard limit|account|issue)|recharge|top[ -]?up|arrears|pro subscription"
        r"|subscribe to pro|no resource package|out of credit",
    ),
    _rule(
        e.UpstreamOverloaded,
        r"overload|queue_exceeded|queue (is |has been )?(full|exceeded)|over capacity|at capacity|no capacity|high (traffic|demand|load)"
        r"|(server|service|model|engine)s? (is |are )?(currently |too |very )*busy|too many (concurrent|pending|queued)|concurrency limit",
        r"200|408|409|424|429|498|5\d\d",
    ),
    _rule(
        e.UpstreamRateLimited,
        r"rate[ _-]?limit|too[ _]many[ _]requests|(requests?|tokens?) per (second|minute|hour|day)|\b[TR]P[MDS]\b|request_quota"
        r"|tokens_per|throttl|slow down|requests per \d",
        r"200|400|403|413|429|5\d\d",
    ),
    _rule(
        e.ContextLengthExceeded,
        r"context[ _-]?(length|window|size|limit)|maximum (context|input|prompt|sequence|model)[ _-]?(length|tokens|len)"
        r"|max_model_len|max_?total_?tokens|max_seq_len|maximum number of (input )?tokens|token limit"
        r"|(input|prompt|messages?|request|conversation|inputs?|sequence)( length| tokens?| size)?( \d+)?( tokens?)?"
        r"( is| are| has| was)?( too (long|large)| exceeds?\b| longer than)"
        r"|`inputs` tokens \+ `max_new_tokens`|`?inputs`? must have less than|reduce the (length|number|size) of|string_above_max_length"
        r"|too many (input |prompt )?tokens|exceeds? .{0,40}\b(\d+ tokens|context|n_ctx)|exceed_context_size",
        r"200|400|403|413|422|424|500",
    ),
    _rule(
        e.UnsupportedInput,
        r"(does(n.t| not)|do not|don.t|cannot|can.t|not able to) (support|accept|handle|process|take) .{0,30}"
        r"(image|vision|audio|video|file|tool|function|multi-?modal|json|structured|response_format|system (role|message|prompt))"
        r"|(image|vision|audio|video|tool|function|multi-?modal|json|structured|response_format|system role)[\w ./()`'\"-]{0,40}"
        r"(not (currently |yet )?(support|allow|accept|enabl|available)|unsupported)"
        r"|(unsupported|invalid) (content|image|media|modality|input)[ _]?(type|format|modality)|at most 0 (image|audio|video)"
        r"|tool choice requires|that support (image|tool|vision)|not a (multimodal|vision) model|image_url.{0,40}(only|expected|unsupported)",
    ),
    _rule(
        e.ModelNotSupported,
        r"model_not_(supported|found|available)|not supported by (any )?(enabled )?provider|task not found for"
        r"|model\b.{0,160}?\b(not[ _]found|does(n.t| not) exist|(is |was )?not (supported|deployed|available|exist|served|recognized|a chat)"
        r"|no longer (supported|available|served)|decommissioned|deprecated|been (removed|retired|sunset))"
        r"|(unknown|no such|invalid|unsupported|unrecognized|nonexistent|could not find( the)?|can.t find( the)?) model\b"
        r"|not a (chat|conversational) model|not (supported|available) for (task|provider)|no (inference )?providers? (found|available|serv|support)"
        r"|invalid model (id|name)|no endpoints found",
        r"200|400|401|403|404|410|422|500",
    ),
    _rule(
        e.ModelGated,
        r"gated|accept(ing)? (the|its|their) (terms|conditions|licen[cs]e)|cannot access this model|restricted.{0,60}authorized list"
        r"|(ask|request|need|awaiting).{0,40}access to (this|the) (model|repo)|agree to (the|share)|model owner",
        r"400|401|403|404",
    ),
    _rule(
        e.ModelLoading,
        r"(currently|still|being|is|now) load(ing|ed)|loading (the )?model|estimated_time|warming up|cold start|scal(ed|ing) (to|from|up)"
        r"|model.{0,80}(loading|starting up|initializing|booting)|not (yet )?ready",
        r"200|404|409|424|425|429|5\d\d",
    ),
    _rule(
        e.HfTokenForbidden,
        r"(sufficient|insufficient|necessary|required|missing|lacks?|without|n.t have|not have|no) .{0,40}permission|permission.{0,30}(denied|required|missing)"
        r"|inference\.serverless|not (authorized|allowed|permitted) to (call|use|make) inference|on behalf of",
        r"400|401|403",
    ),
    _rule(
        e.HfTokenInvalid,
        r"(invalid|incorrect|wrong|missing|bad|malformed|unknown|no|provide a valid) (user ?name|credentials|(hf |user |access |bearer )*token|api[ _-]?key|auth)"
        r"|(token|api[ _-]?key|credentials).{0,60}(expired|revoked|invalid|not valid|malformed|incorrect|not found)|expired token"
        r"|authorization header|unauthori[sz]ed|authentication (failed|required|error)|log ?in",
        r"400|401|403",
    ),
    _rule(e.UpstreamTimeout, r"timed?[ -]?out|deadline exceeded|took too long", r"200|408|424|5\d\d"),
)

_BY_STATUS: dict[int, type[e.HfchatError]] = {
    200: e.UpstreamUnavailable,
    401: e.HfTokenInvalid,
    402: e.CreditsExhausted,
    403: e.HfTokenForbidden,
    404: e.ModelNotSupported,
    405: e.EndpointRetired,
    408: e.UpstreamTimeout,
    409: e.UpstreamUnavailable,
    410: e.EndpointRetired,
    413: e.ContextLengthExceeded,
    424: e.UpstreamUnavailable,
    425: e.UpstreamUnavailable,
    429: e.UpstreamRateLimited,
    498: e.UpstreamOverloaded,
    499: e.UpstreamUnavailable,
    503: e.UpstreamOverloaded,
    504: e.UpstreamTimeout,
    522: e.UpstreamTimeout,
    524: e.UpstreamTimeout,
    529: e.UpstreamOverloaded,
}

# Types of other libraries, most particular first; what stands nowhere here is a fault of ours.
_BY_TYPE: tuple[tuple[tuple[type[BaseException], ...], type[e.HfchatError]], ...] = (
    ((httpx2.PoolTimeout,), e.Overloaded),
    ((httpx2.ConnectTimeout, httpx2.ConnectError, httpx2.ProxyError), e.UpstreamUnavailable),
    ((httpx2.TimeoutException, hub.InferenceTimeoutError, asyncio.TimeoutError, TimeoutError), e.UpstreamTimeout),
    ((httpx2.TooManyRedirects, httpx2.UnsupportedProtocol, httpx2.InvalidURL), e.EndpointRetired),
    ((httpx2.DecodingError,), e.UpstreamInvalidResponse),
    ((httpx2.LocalProtocolError,), e.InternalError),
    ((httpx2.TransportError, httpx2.StreamError, EOFError), e.UpstreamInterrupted),
    ((hub.OverloadedError,), e.UpstreamOverloaded),
    ((hub.ValidationError,), e.UpstreamRejected),
    ((hub.GatedRepoError,), e.ModelGated),
    ((hub.TextGenerationError, hub.OfflineModeIsEnabled), e.UpstreamUnavailable),
    ((hub.LocalTokenNotFoundError,), e.HfTokenInvalid),
    ((json.JSONDecodeError, UnicodeError, RecursionError), e.UpstreamInvalidResponse),
    ((httpx2.HTTPError, OSError), e.UpstreamUnavailable),
)


def translate(failure: Refusal | Exception) -> e.HfchatError:
    """The error of ours for anything that can go wrong upstream. Never raises; an unknown exception is `InternalError`."""
    if isinstance(failure, e.HfchatError):
        return failure
    if isinstance(failure, Refusal):
        return _refused(failure)
    response = getattr(failure, "response", None)
    if isinstance(failure, httpx2.HTTPError) and isinstance(response, httpx2.Response) and response.status_code >= 300:
        return _refused(Refusal(response.status_code, headers=response.headers))
    for types, error in _BY_TYPE:
        if isinstance(failure, types):
            return error()
    return e.InternalError()


def _refused(refusal: Refusal) -> e.HfchatError:
    sentences = list(_sentences(_parsed(refusal.body)))
    text = "\n".join(sentences)
    status = refusal.status
    error = next(
        (kind for kind, words, only in _RULES if (not only or re.fullmatch(only, str(status))) and words.search(text)),
        None,
    )
    if error is None and status == 404 and _no_route(refusal.body, text):
        error = e.EndpointRetired
    error = error or _by_status(status)
    said = clean(max(sentences, key=_is_prose, default="")) if issubclass(error, e.CallerError | e.OwnerError) else ""
    return error(said, retry_after_s=_wait_s(refusal, text) if error.retryable else None)


def _by_status(status: int) -> type[e.HfchatError]:
    if status in _BY_STATUS:
        return _BY_STATUS[status]
    if status >= 500:
        return e.UpstreamUnavailable
    return e.UpstreamRejected if status >= 400 else e.EndpointRetired


def _no_route(body: object, text: str) -> bool:
    """Whether a 404 is a web server's for an unknown path, not a provider's for an unknown model."""
    html = isinstance(body, bytes | str) and "<" in str(body)[:200]
    return html or re.fullmatch(r"\s*(404 page )?not found\.?\s*|route .*", text, re.IGNORECASE) is not None


def _parsed(body: object) -> object:
    if isinstance(body, bytes):
        body = body.decode("utf-8", errors="replace")
    if not isinstance(body, str):
        return body
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return re.sub(r"<[^>]{0,500}>|\s+", " ", body[:20_000])


_KEYS = (
    "message", "msg", "error", "detail", "errors", "issues", "reason", "title", "code", "type", "error_type",
    "error_description", "estimated_time",
)  # fmt: skip


def _sentences(value: object, depth: int = 0) -> Iterator[str]:
    """The strings under the keys where providers write what is wrong; never what they echo of the request."""
    if depth > _MAX_DEPTH:
        return
    if isinstance(value, str):
        inner = _parsed(value) if value.lstrip()[:1] in ("{", "[") else value
        embedded = re.search(r"\{.*\}", value, re.DOTALL) if isinstance(inner, str) else None
        if not isinstance(inner, str):
            yield from _sentences(inner, depth + 1)
        elif embedded and isinstance(found := _parsed(embedded[0]), dict):
            yield from _sentences(found, depth + 1)
            yield value[: embedded.start()]
        else:
            yield value
    elif isinstance(value, list):
        for item in value[:20]:
            yield from _sentences(item, depth + 1)
    elif isinstance(value, dict):
        for key in _KEYS:
            if key in value:
                yield from _sentences(key if key == "estimated_time" else value[key], depth + 1)
        if "issues" in value and isinstance(value["issues"], dict):
            yield from _sentences(list(value["issues"].values()), depth + 1)


def _is_prose(sentence: str) -> int:
    return min(sentence.count(" "), 3)


_CUTS = (
    (re.compile(r"[\x00-\x1f\x7f\u2028\u2029\s]+"), " "),
    (re.compile(r"(https?://)[^\s/@]*@"), r"\1"),
    (re.compile(r"(https?://[^\s?#\"'<>]*)[?#][^\s\"'<>]*"), r"\1"),
    (re.compile(r"\beyJ[\w-]+\.[\w-]*(\.[\w-]*)?|\b([a-z]{2,4}_[A-Za-z0-9]{12,}|sk-[\w-]{12,}|hf_\w+)"), "[hidden]"),
    (re.compile(r"\b(Bearer|Basic)\s+[\w.~+/=-]+", re.IGNORECASE), r"\1 [hidden]"),
    (re.compile(r"\b(token)\s+(\\?[\"'`]).*?\2", re.IGNORECASE), r"\1 [hidden]"),
    (re.compile(r"\b(org|user|acct|proj|team)[_-][A-Za-z0-9]*[\dA-Z]\w*"), "[hidden]"),
    (
        re.compile(
            r"\b(organi[sz]ations?|orgs?|accounts?|teams?|workspaces?|projects?)(\s+(?:id|name)?:?\s*)(\\?[\"'`])(?:.*?)\3",
            re.IGNORECASE,
        ),
        r"\1\2[hidden]",
    ),
    (re.compile(r"\b((?:behalf of|in|for|by|of|to) (?:the )?(?:org(?:anization|anisation)?|team|account|project)) (?!\[)[\w.-]+"), r"\1 [hidden]"),
    (re.compile(r"[\w.+-]+@[\w-]+(\.[\w-]+)+"), "[hidden]"),
)  # fmt: skip


def clean(words: str) -> str:
    """A provider's words fit to be shown: no query of a URL, no token, no organisation's name, no mail address, one line."""
    for pattern, instead in _CUTS:
        words = pattern.sub(instead, words)
    words = words.strip()
    return words if len(words) <= _MAX_DETAIL else words[: _MAX_DETAIL - 1].rstrip() + "…"


def _wait_s(refusal: Refusal, text: str) -> int | None:
    """How long to wait as the answer says it: `Retry-After` (RFC 9110 10.2.3), `estimated_time`, or in words."""
    header = next((value for name, value in refusal.headers.items() if name.lower() == "retry-after"), "")
    seconds = _seconds(header)
    parsed = _parsed(refusal.body)
    if seconds is None and isinstance(parsed, dict):
        seconds = _seconds(str(parsed.get("estimated_time")))
    words = re.search(
        r"(?:try again|retry|wait)[^.\d]{0,30}((?:\d+h)?(?:\d+m(?!s))?(?:\d+(?:\.\d+)?(?:ms|s)\b)?)",
        text,
        re.IGNORECASE,
    )
    if seconds is None and words and words[1]:
        unit_s = {"h": 3600, "m": 60, "s": 1, "ms": 0.001}
        seconds = sum(float(n) * unit_s[u] for n, u in re.findall(r"(\d+(?:\.\d+)?)(ms|h|m|s)", words[1]))
    return None if seconds is None else min(max(math.ceil(seconds), 1), MAX_WAIT_S)


def _seconds(value: str) -> float | None:
    try:
        number = float(value)
        return number if math.isfinite(number) else None
    except ValueError:
        pass
    try:
        return email.utils.parsedate_to_datetime(value).timestamp() - time.time()
    except (ValueError, TypeError, OverflowError):
        return None
