"""Call form: what a model's server does not take of a call, learnt from its refusals. Pure.

Some refuse `stream_options`, some one of the two names of `max_tokens`, some the role `system`. Their words say so, and the same
call in another form is answered; it costs nothing before. The form is remembered for the model.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from hfchat.types import Call, Message
from hfchat.upstream.failure_text import parse_body, plain, sentences
from hfchat.upstream.translate import Refusal

# Statuses of a refusal of the form: some servers answer 500 where the model's template fails.
_STATUSES = (400, 404, 415, 422, 500, 501)
_SYSTEM_ROLES = ("system", "developer")
# Between two words that belong together: bounded, since an id or a link may be long.
_FEW = r"(?:\S{1,60} ){0,4}?"
_NOT = (
    rf"(?:not {_FEW}(?:support|allow|accept|enabl|permit|avail|implement|recogni[sz]|specif"
    r"|process|handle|work|one of|be (?:set|used))"
    r"|no longer|unsupported|unexpected|unknown|invalid|unrecogni[sz]ed|unavailable|disabled|disallowed|forbidden|extra"
    r"|deprecated)"
)
_REFUSES_USAGE = re.compile(r"stream ?options|include ?usage")
_MAX_COMPLETION_TOKENS = "max completion tokens"
_REFUSES_MAX_TOKENS = re.compile(
    rf"\bmax tokens {_FEW}{_NOT}|{_NOT}\w{{0,10}} {_FEW}max tokens\b|\buse {_MAX_COMPLETION_TOKENS}"
)
# How many there may be is another question: the other name gets the same answer.
_OF_AMOUNT = re.compile(
    r"\btoo (?:large|big|high|long|small)|at (?:most|least)|\brange\b|exceed|(?:less|greater|more) than|\bmaximum\b|\d{2}"
)
_REFUSES_MAX_COMPLETION_TOKENS = re.compile(
    rf"{_MAX_COMPLETION_TOKENS} {_FEW}{_NOT}|{_NOT} {_FEW}{_MAX_COMPLETION_TOKENS}\b"
)
# As `failure_text.plain` writes a text: in lower case, without quotes, a sentence on a line.
_REFUSES_SYSTEM = re.compile(
    rf"\b(?:system|developer) {_FEW}{_FEW}{_NOT}|{_NOT}\w{{0,10}} {_FEW}(?:system|developer)\b"
)
# Beside that: a server's system may fail, too.
_NAMES_ROLE = re.compile(
    rf"\b(?:system|developer) (?:role|message|prompt|instruction)|\broles?\b:? {_FEW}(?:system|developer)\b"
    r"|\b(?:system|developer) is not one of\b"
)
_REFUSES_ROLES = re.compile(
    r"\bno (?:system|developer) (?:role|message|prompt|instruction)"
    rf"|roles? must alternate|\bonly {_FEW}(?:user|assistant) {_FEW}roles?\b|\bmust (?:be|start|begin) {_FEW}(?:user|assistant)\b"
    r"|\b(?:user or assistant|assistant or user)\b"
)
# Any name may be asked for where the owner allows all models.
MAX_MODELS = 1000


@dataclass(frozen=True, slots=True)
class CallForm:
    """What to send: whether to `ask_usage`, by which of its names to send `max_tokens`, and whether as a `system` message."""

    ask_usage: bool = True
    max_tokens_name: str | None = None
    system: bool = True

    def of(self, call: Call) -> Call:
        """The call in this form."""
        if self.max_tokens_name is not None:
            call = replace(call, options=_renamed(call, self.max_tokens_name))
        return call if self.system else replace(call, messages=_without_system(call.messages))

    def other(self, call: Call, refusal: Refusal) -> "CallForm | None":
        """The form that this refusal of a call in this form asks for; None where it asks for none that was not tried."""
        if refusal.status not in _STATUSES:
            return None
        text = plain(sentences(parse_body(refusal.body)))
        if self.ask_usage and call.stream and _REFUSES_USAGE.search(text):
            return replace(self, ask_usage=False)
        if self.max_tokens_name is None and (name := _wanted_name(call, text)) is not None:
            return replace(self, max_tokens_name=name)
        if self.system and _refuses_system(text) and _may_fold(call.messages):
            return replace(self, system=False)
        return None


class CallForms:
    """The forms of the models of one server, as learnt; the oldest are forgotten beyond MAX_MODELS."""

    def __init__(self) -> None:
        self._forms: dict[str, CallForm] = {}

    def get(self, model: str) -> CallForm:
        """The form that the model is known to take."""
        return self._forms.get(model, _USUAL)

    def remember(self, model: str, form: CallForm) -> None:
        """Send it in this form from now on."""
        if form is _USUAL or self._forms.get(model) is form:
            return
        self._forms.pop(model, None)
        self._forms[model] = form
        if len(self._forms) > MAX_MODELS:
            del self._forms[next(iter(self._forms))]


_USUAL = CallForm()


def _wanted_name(call: Call, text: str) -> str | None:
    """The other name of `max_tokens`, where the refusal is about the one that was sent."""
    sent = _sent_names(call.options)
    named = _REFUSES_MAX_TOKENS.search(text) or (_MAX_COMPLETION_TOKENS in text and "max tokens" in text)
    refused = named and ("instead" in text or not _OF_AMOUNT.search(text))
    if "max_tokens" in sent and refused:
        return "max_completion_tokens"
    return "max_tokens" if "max_completion_tokens" in sent and _REFUSES_MAX_COMPLETION_TOKENS.search(text) else None


def _sent_names(options: Mapping[str, Any]) -> list[str]:
    """The names by which `call_body` sends the limit."""
    names = [name for name in ("max_tokens", "max_completion_tokens") if isinstance(options.get(name), int)]
    return names or ["max_tokens"]


def _renamed(call: Call, name: str) -> dict[str, Any]:
    options = {
        option: value for option, value in call.options.items() if option not in ("max_tokens", "max_completion_tokens")
    }
    return {**options, name: call.max_tokens}


def _is_system(message: Message) -> bool:
    return message.role in _SYSTEM_ROLES


def _refuses_system(text: str) -> bool:
    named = _NAMES_ROLE.search(text) and _REFUSES_SYSTEM.search(text)
    return bool(named or _REFUSES_ROLES.search(text))


def _may_fold(messages: tuple[Message, ...]) -> bool:
    """Whether the system's messages are what a server may refuse: the others begin and end as every model takes them."""
    rest = [message.role for message in messages if not _is_system(message)]
    return 0 < len(rest) < len(messages) and rest[0] == "user" and rest[-1] in ("user", "tool")


def _without_system(messages: tuple[Message, ...]) -> tuple[Message, ...]:
    """The messages with what the system says in front of the question that follows, or else of all."""
    folded: list[Message] = []
    instructions: list[str] = []
    for message in messages:
        if _is_system(message):
            instructions.append(message.content)
        elif instructions and message.role == "user":
            folded.append(_after("\n\n".join(instructions), message))
            instructions = []
        else:
            folded.append(message)
    if not instructions:
        return tuple(folded)
    text = "\n\n".join(instructions)
    if folded and folded[0].role == "user":
        return (_after(text, folded[0]), *folded[1:])
    return (Message("user", text), *folded)


def _after(text: str, message: Message) -> Message:
    """The message with this text in front of its own."""
    content = f"{text}\n\n{message.content}" if message.content else text
    if message.raw is None:
        return Message(message.role, content)
    parts = message.raw.get("content")
    put = [{"type": "text", "text": text}, *parts] if isinstance(parts, list) else content
    return Message(message.role, content, {**message.raw, "content": put})
