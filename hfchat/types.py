"""Types of a turn: Call, Caller, Delta, Finish and others, all frozen, and the protocol `Upstream`. None shows in its repr what
a person wrote.
"""

import math
import re
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

from hfchat.limits import Limit, Limits

# An id on the hub, with the suffix that picks a provider. Never an address: `authorize` and the settings hold to it.
MODEL_ID = re.compile(r"/?[A-Za-z0-9_.@+\-]{1,100}(/[A-Za-z0-9_.@+\-]{1,100}){0,5}(:[A-Za-z0-9_.\-]{1,100})?")

HUB_URL = "https://huggingface.co"
# The suffixes of a model that let the router choose the provider.
ROUTING_RULES = ("fastest", "cheapest", "preferred")

ROUTER_URL = "https://router.huggingface.co/v1"
CHAT_SCOPE = "chat"
# The largest `max_tokens` of a request, a token or a setting.
MAX_TOKENS = 1_000_000
ADMIN_SCOPE = "admin"
OWN_ISSUER = "hfchat"
LONGEST_TURN_S = 86_400.0


@dataclass(frozen=True, slots=True)
class Message:
    """One message of a conversation. `raw`, where there is one, is the whole of it, as it is sent; `content` its text."""

    role: str
    content: str = field(repr=False)
    raw: Mapping[str, Any] | None = field(default=None, repr=False)

    def payload(self) -> Mapping[str, Any]:
        """What a provider gets."""
        return {"role": self.role, "content": self.content} if self.raw is None else self.raw


@dataclass(frozen=True, slots=True)
class ChatRequest:
    """What a caller asks for. None means: the owner's default, or the provider's.

    `options` are further fields of the body, which pass as they are. A `passthrough` request is answered in the provider's own
    words: with its events, or, where it does not `stream`, with its one answer, in the Finish. `replies` is OpenAI's `n`.
    `body_bytes` is the size of the body that it came in, where it is known: what is large is looked at in a thread.
    """

    messages: tuple[Message, ...]
    model: str | None = None
    max_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    options: Mapping[str, Any] = field(default_factory=dict, repr=False)
    replies: int = 1
    passthrough: bool = False
    stream: bool = True
    body_bytes: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Call:
    """What goes upstream: the request after authorization, with the owner's system prompt in front.

    `max_tokens` is for each of the `replies`. `own_token` gives the Hugging Face token of a caller who pays for themself;
    without it the owner's is used.
    """

    model: str
    messages: tuple[Message, ...]
    max_tokens: int
    temperature: float | None = None
    top_p: float | None = None
    options: Mapping[str, Any] = field(default_factory=dict, repr=False)
    replies: int = 1
    passthrough: bool = False
    stream: bool = True
    body_bytes: int = field(default=0, compare=False)
    own_token: Callable[[], Awaitable[str]] | None = field(default=None, repr=False, compare=False)


class Source(NamedTuple):
    """A page that a reply refers to: its address, as the provider wrote it, and its title, which may be empty."""

    url: str
    title: str = ""


# Of one reply. More is in no answer of a provider that means well.
MAX_PICTURES = 8
MAX_SOURCES = 50
MAX_TOOLS = 100


@dataclass(slots=True)
class Extras:
    """What a reply has besides text, each in order and once.

    `pictures` are `data:` URLs, or addresses, as the provider wrote them; `tools` the names of tools that it calls.
    """

    pictures: list[str] = field(default_factory=list, repr=False)
    sources: list[Source] = field(default_factory=list, repr=False)
    tools: list[str] = field(default_factory=list, repr=False)

    def __bool__(self) -> bool:
        return bool(self.pictures or self.sources or self.tools)

    def add(self, other: "Extras") -> None:
        """Add what is new in the other."""
        self.pictures = list(dict.fromkeys(self.pictures + other.pictures))[:MAX_PICTURES]
        self.sources = list(dict.fromkeys(self.sources + other.sources))[:MAX_SOURCES]
        self.tools = list(dict.fromkeys(self.tools + other.tools))[:MAX_TOOLS]


@dataclass(slots=True)
class Delta:
    """A piece of a reply. `reasoning` is what a model thinks aloud; it is shown apart and is no part of the reply.

    `tool_text` is what it says to no person, in calls of tools; it costs like the rest. `events` are the provider's own, as
    JSON, where the call is `passthrough`; `count` of its deltas came at once and are put together here. `whole`: it is the
    whole reply of a server that did not stream. `extras` is what it has besides text, where it has any.
    """

    content: str = field(default="", repr=False)
    reasoning: str = field(default="", repr=False)
    tool_text: str = field(default="", repr=False)
    events: list[str] | None = field(default=None, repr=False)
    count: int = field(default=1, compare=False)
    whole: bool = False
    extras: Extras | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens as the provider counted them, or, where it did not, `estimated` here."""

    prompt_tokens: int
    completion_tokens: int
    estimated: bool = False

    @property
    def total_tokens(self) -> int:
        """Prompt and completion together."""
        return self.prompt_tokens + self.completion_tokens


@dataclass(slots=True)
class Finish:
    """The end of a whole reply; a stream without one was cut. `usage` is None where the provider gave none.

    `truncated`: this program ended it, at its limit.
    """

    model: str
    finish_reason: str = "stop"
    usage: Usage | None = None
    provider: str | None = None
    data: str | None = field(default=None, repr=False)
    truncated: bool = False


Part = Delta | Finish


@dataclass(frozen=True, slots=True)
class Policy:
    """What somebody may use. `models` is None where any model may be named; every limit of `rate` and `budget` holds.

    `rate` counts requests, `budget` tokens of prompt and completion, `streams` replies in progress at once. A reply has at most
    `max_tokens`, and `default_tokens` where the request does not say how many. `token_limits` are those of the token, which are
    in these already: they narrow what the ledger has for a person, too.
    """

    default_model: str
    models: frozenset[str] | None
    fallback_models: tuple[str, ...] = ()
    max_tokens: int = 4096
    default_tokens: int = 1024
    rate: tuple[Limit, ...] = ()
    budget: tuple[Limit, ...] = ()
    streams: int | None = None
    token_limits: Limits = field(default=Limits(), compare=False)


@dataclass(frozen=True, slots=True)
class HubAccount:
    """The Hugging Face account of somebody who signed in with it, by its user `name`, which is for people to read only.

    `member` is the name in HFCHAT_MEMBERS that lets them chat on the owner's credit; without one they pay for themself.
    `own_credit`: they pay for themself. `program`: the token is for programs, and opens no page. `may_choose` who pays: a member
    may, where people may pay for themself at all; no token says so.
    """

    name: str
    member: str | None = None
    own_credit: bool = True
    program: bool = False
    may_choose: bool = False


@dataclass(frozen=True, slots=True)
class Caller:
    """Who is calling and what they may, as their verified token and the owner say. `expires_at` is in seconds since 1970.

    `token_id` is what a token is revoked by. Two issuers' `subject`s of the same name are two people. `account` is there where
    they signed in with Hugging Face.
    """

    subject: str
    token_id: str
    expires_at: float
    policy: Policy
    scopes: frozenset[str] = frozenset({CHAT_SCOPE})
    issuer: str = OWN_ISSUER
    account: HubAccount | None = None

    @property
    def name(self) -> str:
        """What people call them. Their usage is counted by `subject`."""
        return self.account.name if self.account else self.subject

    @property
    def own_credit(self) -> bool:
        """Whether they pay for their calls themself, with their own Hugging Face token."""
        return self.account is not None and self.account.own_credit

    def expired(self, now: float) -> bool:
        """Whether the token has ended; RFC 7519 section 4.1.4: on `exp` itself it has."""
        return now >= self.expires_at

    @property
    def replies_end_at(self) -> float:
        """When what is in progress for this caller ends.

        An `exp` of ours is the owner's word on when access ends. Another issuer's says when its token is renewed, a minute
        after it was issued at some (Clerk): admission is a moment, and what began under a good token is finished.
        """
        return self.expires_at if self.issuer == OWN_ISSUER else math.inf


@dataclass(frozen=True, slots=True)
class ModelFacts:
    """What is known of a model; None where nothing is. `price` is for input and output, in US dollars a million tokens.

    `providers` are those who serve it, by the names that may stand after the colon.
    """

    id: str
    context_length: int | None = None
    input_modalities: tuple[str, ...] | None = None
    price: tuple[float, float] | None = None
    providers: tuple[str, ...] = ()


class Upstream(Protocol):
    """What answers: the router, another server, or the offline stand-in."""

    def stream(self, call: Call) -> AsyncGenerator[Delta | Finish, None]:
        """Deltas, then exactly one Finish. Closing the generator ends the call. Raises: errors of `hfchat.errors`."""
        ...

    async def models(self) -> list[ModelFacts]:
        """The models there are, as far as it lists them. Raises: errors of `hfchat.errors`."""
        ...

    async def close(self) -> None:
        """Give back what is held open."""
        ...
