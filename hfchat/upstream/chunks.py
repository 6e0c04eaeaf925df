"""Chunk parser, and its fast path: nearly every chunk has one word and nothing else, and most need not be parsed for it."""

import json
from typing import Any

import orjson

from hfchat.errors import UpstreamInvalidResponse
from hfchat.upstream.message import CHOICE_FIELDS

_PLAIN_FIELDS = frozenset({"role", "content"})


def loads(data: str | bytes) -> Any:
    """The value. Raises: UpstreamInvalidResponse."""
    try:
        return orjson.loads(data)
    except ValueError:
        pass  # orjson is stricter: NaN, broken UTF-8 and lone surrogates are left to json
    try:
        return json.loads(data if isinstance(data, str) else data.decode("utf-8-sig", errors="replace"))
    except (ValueError, RecursionError) as error:
        raise UpstreamInvalidResponse from error


def dumps(value: object) -> str:
    """The JSON of a value that `loads` gave."""
    try:
        return orjson.dumps(value).decode()
    except TypeError:  # lone surrogates, or deeper than orjson writes
        return json.dumps(value)


def plain_word(chunk: dict[str, Any]) -> str | None:
    """The text of a chunk that has only text; None for any other."""
    choices = chunk.get("choices")
    if type(choices) is not list or len(choices) != 1 or "error" in chunk or chunk.get("usage") is not None:
        return None
    choice = choices[0]
    if (
        type(choice) is not dict
        or choice.get("finish_reason") is not None
        or not choice.keys().isdisjoint(CHOICE_FIELDS)
    ):
        return None
    delta = choice.get("delta")
    if type(delta) is not dict or not delta.keys() <= _PLAIN_FIELDS:
        return None
    content = delta.get("content")
    return content if type(content) is str else None


class Frame:
    """The prefix and suffix around the word in the chunks of one reply: a chunk with both need not be parsed.

    They are learnt from a parsed chunk, and checked by parsing them around another word. JSON is read from left to right, so
    between the same prefix and suffix any text without a quote or an escape is the word.
    """

    # For a provider that writes each chunk differently.
    _TRIES = 4
    _ANOTHER = "another word"

    def __init__(self) -> None:
        self._before = self._after = ""
        self._around = 0
        self._tries = self._TRIES

    def word_in(self, data: str) -> str | None:
        """The chunk's word; None where it has to be parsed."""
        if not self._around or len(data) < self._around:
            return None
        if not data.startswith(self._before) or not data.endswith(self._after):
            return None
        word = data[len(self._before) : len(data) - len(self._after)]
        return word if _needs_no_escape(word) else None

    def learn(self, data: str, word: str) -> None:
        """Learn from this chunk, which was parsed and has this word only."""
        if not word or not self._tries or not _needs_no_escape(word):
            return
        before, _, after = data.rpartition(f'"{word}"')
        if not before or self._ANOTHER in data:
            return
        self._tries -= 1
        before, after = f'{before}"', f'"{after}'
        try:
            another = plain_word(loads(f"{before}{self._ANOTHER}{after}"))
        except UpstreamInvalidResponse:  # the match was not the content
            return
        if another == self._ANOTHER:
            self._before, self._after, self._around = before, after, len(before) + len(after)


def _needs_no_escape(word: str) -> bool:
    """Whether JSON writes the word as it is."""
    return word.isprintable() and '"' not in word and "\\" not in word
