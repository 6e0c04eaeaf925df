"""An honest stand-in for a model: no network, no token. Deterministic, and it says every time what it is."""

import asyncio
import re
from collections.abc import AsyncGenerator

from hfchat.i18n.error_texts import TOKEN_PAGE
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

# Of a longer question the beginning is read: to look through 16 MB for words takes seconds.
READ_CHARS = 20_000
CHARS_A_WORD = 6

_SAYS = {
    "en": (
        "**This is hfchat's offline stand-in**, not a language model: no Hugging Face token is set.\n\n"
        "You asked, in message {count} of this conversation:\n\n> {question}\n\n{before}"
        "To get a real model:\n\n"
        "1. Make a token, its permission preselected: <{page}>\n"
        "2. Write it into the file `.env`:\n\n```sh\nHUGGINGFACE_API_TOKEN=hf_...\n```\n\n"
        "3. Start `python app.py` again.\n"
    ),
    "es": (
        "**Soy el sustituto sin conexión de hfchat**, no un modelo de lenguaje: no hay ningún token de Hugging Face.\n\n"
        "Has preguntado, en el mensaje {count} de esta conversación:\n\n> {question}\n\n{before}"
        "Para tener un modelo de verdad:\n\n"
        "1. Crea un token, con el permiso ya marcado: <{page}>\n"
        "2. Escríbelo en el archivo `.env`:\n\n```sh\nHUGGINGFACE_API_TOKEN=hf_...\n```\n\n"
        "3. Vuelve a arrancar `python app.py`.\n"
    ),
}
_BEFORE = {"en": "Before that you wrote: “{earlier}”.\n\n", "es": "Antes escribiste: «{earlier}».\n\n"}


class OfflineUpstream:
    """Answers every call itself. `pause_s` is the time between two words, so that a stream looks like one."""

    def __init__(self, *, pause_s: float = 0.02) -> None:
        self._pause_s = pause_s

    async def models(self) -> list[ModelFacts]:
        """It has no list: it is the same whatever it is called."""
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
    asked = [message.content[:READ_CHARS] for message in messages if message.role == "user"]
    language = "es" if len(_SPANISH.findall(asked[-1])) > len(_ENGLISH.findall(asked[-1])) else "en"
    before = _BEFORE[language].format(earlier=_short(asked[-2])) if len(asked) > 1 else ""
    return _SAYS[language].format(count=len(asked), question=_short(asked[-1]), before=before, page=TOKEN_PAGE)


def _words(text: str) -> int:
    return len(text.split()) if len(text) <= READ_CHARS else len(text) // CHARS_A_WORD


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= 200 else line[:199] + "…"
