"""Error text of a provider: found in the body, normalized for `failure_rules`, and cleaned of secrets for people."""

import email.utils
import json
import math
import re
import time
from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any

MAX_WAIT_S = 86_400
_MAX_DETAIL = 300
_MAX_DEPTH = 8
_MAX_SENTENCES = 40
# Only the beginning of a body is read: the cause is there, and the rules' cost grows with the text.
_MAX_READ = 4_000


def parse_body(body: object) -> object:
    """The value of JSON; the texts of an HTML or XML page; other text as it is."""
    if isinstance(body, bytes | bytearray):
        body = body.decode("utf-8", errors="replace")
    if not isinstance(body, str):
        return body
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        pass
    if is_page(body):
        return re.findall(r"<(?!script|style)[a-zA-Z][^<>]{0,300}>\s*([^<>\s][^<>]{0,500})", body[: 5 * _MAX_READ])
    return body


def is_page(body: object) -> bool:
    """Whether it is an HTML or XML page."""
    text = body.decode("latin-1") if isinstance(body, bytes | bytearray) else body
    return isinstance(text, str) and text.lstrip("\ufeff \t\r\n").startswith("<")


_ERROR_KEY = re.compile(
    r"message|msg|title|code|type|status|description|err_?(?:message|msg|code|type)"
    r"|reason|details?|issues|cause|exception|metadata|raw|estimated_time",
    re.IGNORECASE,
)
_WORD = re.compile(r"\w+")
_MAX_KEY = 64


def _is_error_key(key: object) -> bool:
    """Whether providers write what is wrong under this key. No such key is long."""
    if not isinstance(key, str) or len(key) > _MAX_KEY:
        return False
    if _ERROR_KEY.fullmatch(key):
        return True
    return _WORD.fullmatch(key) is not None and any(word in key.lower() for word in ("error", "fault"))


def _sentences(value: object, depth: int = 0) -> Iterator[str]:
    """The strings under the keys where providers write what is wrong; never what they echo of the request."""
    if depth > _MAX_DEPTH:
        return
    if isinstance(value, str):
        start, end = value.find("{"), value.rfind("}")
        inner = parse_body(value) if value.lstrip()[:1] in ("{", "[", '"', "<") else value
        if inner == value and 0 <= start < end:
            inner = parse_body(value[start : end + 1])
            if isinstance(inner, dict):
                yield value[:start]
        yield from [value] if isinstance(inner, str) else _sentences(inner, depth + 1)
    elif isinstance(value, list):
        for item in value[:_MAX_SENTENCES]:
            yield from _sentences(item, depth + 1)
    elif isinstance(value, dict):
        place = _place(value)
        for key, item in value.items():
            if place and key == "msg":
                yield f"{place}: {item}"
            elif _is_error_key(key):
                fields = key.lower() in ("errors", "issues") and isinstance(item, dict)
                yield from _sentences(list(item.values()) if fields else item, depth + 1)
                if key == "estimated_time":
                    yield key


def _place(error: dict[str, Any]) -> str:
    """The field that a pydantic error is about, where the rules know it: the caller may have chosen any other name.

    None where an object was sent for a text, which no model takes.
    """
    loc, message = error.get("loc"), error.get("msg")
    if not isinstance(loc, list) or not isinstance(message, str) or isinstance(error.get("input"), dict):
        return ""
    return next((name for name in reversed(loc) if name in ("model", "content")), "")


_ECHO = re.compile(r"['\"]input['\"]\s*:.*|\binput_value=.*", re.DOTALL)
_LINK = re.compile(r"(https?://[^\s/?#\"'<>]*)[^\s\"'<>]*")
_NAME = re.compile(r"(?<![\w./:-])(?!https?:)(/?)([\w./:-]{4,})")


def sentences(body: object) -> list[str]:
    """The first strings of a parsed body that describe the error."""
    return list(islice(_sentences(body), _MAX_SENTENCES))


def plain(texts: list[str]) -> str:
    """The sentences in the normal form in which the rules are written."""
    text = ""
    for sentence in texts:
        text += _plain(sentence[: _MAX_READ - len(text)]) + "\n" if len(text) < _MAX_READ else ""
    return text


def _plain(sentence: str) -> str:
    """In lower case, each sentence on a line, words apart, no quotes; links shortened, names of models made `x`."""

    def hide_model(name: re.Match[str]) -> str:
        versioned = re.search(r"\d", name[2]) and re.search("[-/:]", name[2])
        path = name[1] or ("/" in name[2] and ("-" in name[2] or name[2] != name[2].lower()))
        return f"{name[1]}x" if versioned or path else name[0]

    text = _NAME.sub(hide_model, _LINK.sub(r"\1", _ECHO.sub("", sentence)))
    text = re.sub(r"(?<=[a-z])(?=[A-Z][a-z])|[_-]", " ", text.replace("’", "'")).lower()
    text = re.sub(r"\bcan(?:no|')t\b", "can not", text).replace("n't", " not")
    text = re.sub(r"'s\b|[`\"'“”‘]", "", text)
    text = re.sub(r"[\[\](){}*\\]|[,;:](?=\s|$)|\s+", " ", text)
    return re.sub(r" ?\n[ \n]*", "\n", re.sub(r"[.!?](?= |$)", "\n", re.sub(r" {2,}", " ", text)))


_SECRETS = (
    r"\beyJ[\w-]{4,}(?:\.[\w-]*){0,2}|\bhf_[\w*.]+|\b(?:AIza|AKIA|ASIA)[\w-]{10,}"
    r"|\b(?:sk|pk|rk|psk|gsk|csk|fw|r8|tgp|key|nvapi|xai|glpat|gh[opsu]|github_pat)[-_][\w*.-]{6,}"
    r"|(?<![\w/.-])(?=[A-Za-z_]*\d)(?=[\d_]*[A-Za-z])\w{20,}|(?<![\w-])[\w-]{0,40}\*{3,}[\w*-]*"
)
_OWNER = r"(?:organi[sz]ations?|orgs?|accounts?|teams?|workspaces?|projects?|tenants?|namespaces?|customers?)"
_CALLED = r"(?:\s{1,2}(?:id|name|named|called))?\s{0,2}[:=]?\s{1,2}"
# Words that follow `organization` and the like without being its name.
_NO_NAME = (
    r"(?!(?:is|are|was|were|has|have|had|does|do|did|can|cannot|could|must|may|should|will|not|to|for|of|in|on|at|and"
    r"|or|with|by|that|which|who|if|due|when|needs?|lacks?|reached|exceeded|balance|credits?|billing|level|plans?"
    r"|limits?|settings?|owners?|admins?|administrators?|access|tokens?|page|tier|quota|usage|members?|permissions?"
    r"|scopes?|policy|status|type|names?|ids?|suspended|disabled|inactive|because|before|after|please|account|details"
    r"|spend(?:ing)?)\b)"
)
_REPLACEMENTS = tuple(
    (re.compile(pattern), replacement)
    for pattern, replacement in (
        (r"<[^<>]{1,200}>", " "),
        (r"[\x00-\x1f\x7f-\x9f\s\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ud800-\udfff]+", " "),
        (r"(\b\w{2,12}://)[^\s/@]*@", r"\1"),
        (r"(https?://[^\s?#\"'<>]*)(?:[?#][^\s\"'<>]*)?", r"\1"),
        (r"\?[\w.%-]+=[^\s\"'<>]*", ""),
        (r"[\w.+*-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63})+", "[hidden]"),
        (r"\b((?i:Bearer|Basic))\s+(?=\S*(?:\d|[a-z][A-Z]|[.+/=_-]))[\w.~+/=*-]{6,}", r"\1 [hidden]"),
        (_SECRETS, "[hidden]"),
        (
            r"(?i)\b((?:api[ _-]?key|token|secret|password)(?: provided)?\s*[:=]\s*)(?=\S{0,100}[\d*])[^\s,;]{6,}",
            r"\1[hidden]",
        ),
        (r"(?i)(?<!unexpected )\b(token|key)\s+(\\?[\"'`])[^\"'`]{1,200}\2", r"\1 [hidden]"),
        (r"\b((?:organi[sz]ations|orgs|accounts|teams|projects|users)/)(?!fireworks/)[\w.-]+", r"\1[hidden]"),
        (
            r"\borg[-_](?!ids?\b)\w+|\b(?:user|acct|account|proj|project|team|ws)[-_](?=[\w-]{0,64}\d)[\w-]{3,}",
            "[hidden]",
        ),
        (rf"(?i)\b((?:{_OWNER}|user){_CALLED})(\\?[\"'`])[^\"'`]{{1,200}}\2", r"\1[hidden]"),
        (rf"(?i)\b({_OWNER}{_CALLED}){_NO_NAME}\w[\w.-]*\w(?:\s(?-i:[A-Z])[\w.-]*){{0,3}}", r"\1[hidden]"),
    )
)


def clean(words: str) -> str:
    """A provider's message fit to show: one line, without URL queries, tokens, organisations' names, mail addresses."""
    words = words[:_MAX_READ]
    for pattern, replacement in _REPLACEMENTS:
        words = pattern.sub(replacement, words)
    words = words.strip()
    return words if len(words) <= _MAX_DETAIL else words[: _MAX_DETAIL - 1].rstrip() + "…"


_WAIT = re.compile(
    r"(?:try again|retry|wait|available|reset)\w{0,9}(?: \S{1,80}){0,4}? "
    r"((?:\d{1,9}(?:\.\d{1,9})? ?(?:ms|milli\w*|s|sec\w*|m|min\w*|h|hours?|d|days?)(?![a-z])(?: and)? ?){1,4})"
)
_UNIT = re.compile(r"(\d{1,9}(?:\.\d{1,9})?) ?(ms|mi?l|s|m|h|d)")


def wait_s(headers: Mapping[str, str], body: object, text: str) -> int | None:
    """Seconds to wait: from `Retry-After` (RFC 9110 10.2.3), `retry-after-ms` (Azure, OpenAI), `RateLimit` (t=), a number in the
    body, or its words.
    """
    fields = {str(name).lower(): str(value) for name, value in (headers or {}).items()}
    seconds = _seconds(fields.get("retry-after", ""))
    if seconds is None and (milliseconds := _seconds(fields.get("retry-after-ms", ""), date=False)) is not None:
        seconds = milliseconds / 1000
    if seconds is None and (reset := re.search(r"\bt=(\d{1,9})", fields.get("ratelimit", ""))):
        seconds = float(reset[1])
    if seconds is None:
        seconds = find_number(body, ("estimated_time", "retry_after", "retryAfter"))
    if seconds is None and (words := _WAIT.search(text)):
        unit_s = {"h": 3600, "m": 60, "s": 1, "d": 86400}
        seconds = sum(float(n) * unit_s.get(unit, 0.001) for n, unit in _UNIT.findall(words[1]))
    return None if seconds is None else min(max(math.ceil(seconds), 1), MAX_WAIT_S)


def find_number(body: object, keys: tuple[str, ...], depth: int = 0) -> float | None:
    """The first number under one of `keys`, in the body or in an error that it wraps."""
    if depth > _MAX_DEPTH or not isinstance(body, dict | list):
        return None
    if isinstance(body, dict):
        for key in keys:
            if (number := _seconds(str(body.get(key, ""))[:40], date=False)) is not None:
                return number
    inner = (body.get(key) for key in ("error", "detail", "message")) if isinstance(body, dict) else body[:_MAX_DEPTH]
    return next((number for value in inner if (number := find_number(value, keys, depth + 1)) is not None), None)


def _seconds(value: str, *, date: bool = True) -> float | None:
    try:
        number = float(value)
        return number if math.isfinite(number) else None
    except ValueError:
        pass
    try:
        return email.utils.parsedate_to_datetime(value).timestamp() - time.time() if date else None
    except (ValueError, TypeError, OverflowError, IndexError):
        return None
