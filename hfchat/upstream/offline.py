"""Offline upstream: a stand-in for a model, without network or token. Deterministic, and each reply says what it is."""

import asyncio
import re
from collections.abc import AsyncGenerator

from hfchat.i18n.errors import TOKEN_PAGE
from hfchat.i18n.sentences import OFFLINE
from hfchat.types import Call, Delta, Finish, Message, ModelFacts, Usage

MODEL = "hfchat/offline-stand-in"
_SPANISH = re.compile(
    r"[¿¡ñáéíóúü]|\b(hola|gracias|qué|que|cómo|como|cuál|por|para|el|la|los|las|una?|es|eres|está|quién|dónde|y|de|en"
    r"|puedes|quiero|dime|buen[oa]s|días|tardes|explica|escribe|hazme|ayuda|ayúdame|traduce|sí|favor)\b",
    re.IGNORECASE,
)
_ENGLISH = re.compile(
    r"\b(hello|hi|thanks?|what|how|who|where|why|which|when|the|an?|is|are|was|were|you|can|could|please|write|tell|my|of|to"
    r"|in|and|do|does|did|about|for|with)\b",
    re.IGNORECASE,
)

# Of a question, so many characters are read: to search 16 MB for words takes seconds.
READ_CHARS = 20_000
CHARS_PER_WORD = 6


class OfflineUpstream:
    """Answers every call itself. `pause_s` is the time between two words, so that a stream looks like one."""

    def __init__(self, *, pause_s: float = 0.02) -> None:
        self._pause_s = pause_s

    async def models(self) -> list[ModelFacts]:
        """None: any model name is answered alike."""
        return []

    async def close(self) -> None:
        """Nothing is held open."""

    async def stream(self, call: Call) -> AsyncGenerator[Delta | Finish, None]:
        """A reply about the question and the history, in the question's language, cut at `max_tokens` words."""
        words = re.findall(r"\s*\S+|\s+", reply_to(call.messages))
        for word in words[: call.max_tokens]:
            await asyncio.sleep(self._pause_s)
            yield Delta(word)
        prompt_tokens = sum(_words(message.content) for message in call.messages)
        usage = Usage(prompt_tokens, min(len(words), call.max_tokens))
        yield Finish(MODEL, "stop" if len(words) <= call.max_tokens else "length", usage)


def reply_to(messages: tuple[Message, ...]) -> str:
    """The whole reply, as Markdown: the same for the same messages."""
    questions = [message.content[:READ_CHARS] for message in messages if message.role == "user"]
    language = "es" if len(_SPANISH.findall(questions[-1])) > len(_ENGLISH.findall(questions[-1])) else "en"
    texts = OFFLINE[language]
    before = f"{texts['before'].format(earlier=_short(questions[-2]))}\n\n" if len(questions) > 1 else ""
    return (
        f"{texts['lead']}\n\n{texts['question'].format(count=len(questions))}\n\n> {_short(questions[-1])}\n\n{before}"
        f"{texts['steps']}\n\n1. {texts['step_1']} <{TOKEN_PAGE}>\n"
        f"2. {texts['step_2']}\n\n```sh\nHUGGINGFACE_API_TOKEN=hf_...\n```\n\n3. {texts['step_3']}\n"
    )


def _words(text: str) -> int:
    return len(text.split()) if len(text) <= READ_CHARS else len(text) // CHARS_PER_WORD


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= 200 else line[:199] + "…"
