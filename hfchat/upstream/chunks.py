"""The JSON of a provider's chunks: what nearly all of them say, one word and nothing else, without parsing most of them."""

import json
from typing import Any

import orjson

from hfchat.errors import UpstreamInvalidResponse

_PLAIN_FIELDS = frozenset({"role", "content"})


def loads(data: str | bytes) -> Any:
    """The value. Raises: UpstreamInvalidResponse."""
    try:
        return orjson.loads(data)
    except ValueError:
        pass  # what the stricter and faster one does not take: NaN, broken UTF-8, half a surrogate pair
    try:
        return json.loads(data if isinstance(data, str) else data.decode("utf-8-sig", errors="replace"))
    except (ValueError, RecursionError) as broken:
        raise UpstreamInvalidResponse from broken


def plain_word(chunk: dict[str, Any]) -> str | None:
    """The text of a chunk that has nothing else to say, as nearly all have not; None for any other."""
    choices = chunk.get("choices")
    if type(choices) is not list or len(choices) != 1 or "error" in chunk or chunk.get("usage") is not None:
        return None
    choice = choices[0]
    if type(choice) is not dict or choice.get("finish_reason") is not None:
        return None
    said = choice.get("delta")
    if type(said) is not dict or not said.keys() <= _PLAIN_FIELDS:
        return None
    content = said.get("content")
    return content if type(content) is str else None


class Frame:
    """What stands around the word in the chunks of one reply: where it is the same again, the chunk need not be parsed.

    It is learnt from a chunk that was parsed, where it is found to hold for another word too. JSON is read from left to
    right: between the same two pieces, what does not end the string is the word, whatever it is.
    """

    # A provider that writes each chunk differently is not learnt from for ever.
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
        return word if _stands_for_itself(word) else None

    def learn(self, data: str, word: str) -> None:
        """Take the frame of this chunk, which was parsed and says this word and nothing else."""
        if not word or not self._tries or not _stands_for_itself(word):
            return
        before, _, after = data.rpartition(f'"{word}"')
        if not before or self._ANOTHER in data:
            return
        self._tries -= 1
        before, after = f'{before}"', f'"{after}'
        try:
            another = plain_word(loads(f"{before}{self._ANOTHER}{after}"))
        except UpstreamInvalidResponse:  # it was something else that looks like the word
            return
        if another == self._ANOTHER:
            self._before, self._after, self._around = before, after, len(before) + len(after)


def _stands_for_itself(word: str) -> bool:
    """Whether JSON writes the word as it is: nothing in it ends the string or means another letter."""
    return word.isprintable() and '"' not in word and "\\" not in word
