"""The frozen values that travel along the path of a turn. None shows in its repr what a person wrote."""

import re
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field
from typing import Literal, Protocol

Role = Literal["system", "user", "assistant"]

# An id on the hub, with the suffix that picks a provider. Never an address: `authorize` and the settings hold to it.
MODEL_ID = re.compile(r"/?[\w.@+\-]{1,100}(/[\w.@+\-]{1,100}){0,5}(:[\w.\-]{1,100})?", re.ASCII)

CHAT_SCOPE = "chat"
ADMIN_SCOPE = "admin"


@dataclass(frozen=True, slots=True)
class Message:
    """One message of a conversation, text only."""

    role: Role
    content: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class ChatRequest:
    """What a caller asks for. None means: the owner's default, or the provider's."""

    messages: tuple[Message, ...]
    model: str | None = None
    max_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None


@dataclass(frozen=True, slots=True)
class Call:
    """What goes upstream: the request after authorization, with the owner's system prompt in front."""

    model: str
    messages: tuple[Message, ...]
    max_tokens: int
    temperature: float | None = None
    top_p: float | None = None


@dataclass(frozen=True, slots=True)
class Delta:
    """A piece of a reply. `reasoning` is what a model thinks aloud; it is shown apart and is no part of the reply."""

    content: str = field(default="", repr=False)
    reasoning: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens as the provider counted them."""

    prompt_tokens: int
    completion_tokens: int

    @property
    def total_tokens(self) -> int:
        """Prompt and completion together."""
        return self.prompt_tokens + self.completion_tokens


@dataclass(frozen=True, slots=True)
class Finish:
    """The end of a whole reply; a stream without one was cut. `usage` is None where the provider gave none."""

    model: str
    finish_reason: str = "stop"
    usage: Usage | None = None
    provider: str | None = None


Part = Delta | Finish


@dataclass(frozen=True, slots=True)
class Caller:
    """Who is calling, as their verified token says. `expires_at` is in seconds since 1970."""

    subject: str
    token_id: str
    expires_at: float
    scopes: frozenset[str] = frozenset({CHAT_SCOPE})

    def expired(self, now: float) -> bool:
        """Whether the token has ended; RFC 7519 section 4.1.4: on `exp` itself it has."""
        return now >= self.expires_at


@dataclass(frozen=True, slots=True)
class Policy:
    """What the owner lets people do. `models` is None where any model may be named."""

    default_model: str
    models: frozenset[str] | None
    fallback_models: tuple[str, ...] = ()
    max_tokens: int = 1024


class Upstream(Protocol):
    """What answers: the router, another server, or the offline stand-in."""

    def stream(self, call: Call) -> AsyncGenerator[Delta | Finish, None]:
        """Deltas, then exactly one Finish. Closing the generator ends the call. Raises: errors of `hfchat.errors`."""
        ...

    async def close(self) -> None:
        """Give back what is held open."""
        ...
