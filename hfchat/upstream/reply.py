"""A provider's reply while it comes in: its events or its one answer, as parts, and what the end of it says."""

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from hfchat import errors as e
from hfchat.types import Call, Delta, Finish, Usage
from hfchat.upstream.chunks import Frame, loads, plain_word
from hfchat.upstream.sse import ServerSentEvent
from hfchat.upstream.translate import Refusal, translate

# More than any model writes: a store keeps counts in 64 bits.
MOST_TOKENS = 1 << 40
_PLAIN = frozenset(("role", "content"))
_THOUGHTS = frozenset(("reasoning", "reasoning_content", "reasoning_text"))
_NO_LETTERS = frozenset(("role", "id", "type", "tool_call_id", "signature", "thought_signature"))
_ARGUMENTS = frozenset(("arguments", "input"))


class Reply:
    """What is known of a reply while its events come in."""

    def __init__(self, call: Call, headers: Mapping[str, str]) -> None:
        self.model = call.model
        self.provider = headers.get("x-inference-provider")
        self._verbatim = call.verbatim
        self._replies = call.replies
        self._finished: set[str] = set()
        options = call.options.get("stream_options")
        self._tells_usage = isinstance(options, dict) and bool(options.get("include_usage"))
        self.finish_reason = ""
        self.done = False
        self.usage: Usage | None = None
        self._began = self.spoke = False
        self._frame = Frame()
        self._data: str | None = None
        # What comes at once is given in pieces of so many signs, so that a turn that is cut is cut near its limit.
        self._piece_signs = call.max_tokens * call.replies

    def take(self, events: Iterable[ServerSentEvent]) -> Iterator[Delta]:
        """What the events that came at once add to the reply, as one delta; as several where it is long for the call's limit.

        The very first word is given alone: whoever waits for it need not wait for what came with it to be read.

        Raises: the error that an event carries, or UpstreamInvalidResponse, after what came before it was given.
        """
        came = _Gathered(self._verbatim)
        try:
            for event in events:
                self._take(event, came)
                if came.count and (came.signs > self._piece_signs or not self.spoke):
                    yield self._given(came)
                    came = _Gathered(self._verbatim)
        except e.HfchatError:
            if came:
                yield self._given(came)
            raise
        if came:
            yield self._given(came)

    def _given(self, came: "_Gathered") -> Delta:
        self.spoke = self.spoke or came.count > 0
        return came.delta()

    def _take(self, event: ServerSentEvent, came: "_Gathered") -> None:
        if not self.done and event.event == "message" and (word := self._frame.word_in(event.data)) is not None:
            came.add(word)
            came.events.append(event.data)
            return
        data = event.data.strip()
        if data == "[DONE]":
            self.done = True
            return
        if event.event == "error":
            raise translate(Refusal(200, data))
        if not data or self.done:
            return
        chunk = loads(data)
        if not isinstance(chunk, dict):
            return
        if (word := plain_word(chunk)) is not None:
            self._began = True
            self._frame.learn(data, word)
            came.add(word)
            came.events.append(data)
            return
        delta = self._add(chunk, "delta")
        if delta is not None:
            came.add(delta.content, delta.reasoning, delta.unseen)
        if self._verbatim and (asked := self._as_asked(chunk, data)) is not None:
            came.events.append(asked)

    def _as_asked(self, chunk: dict[str, Any], data: str) -> str | None:
        """The event without the usage that this program asked for, where its caller did not."""
        if self._tells_usage or chunk.get("usage") is None:
            return data
        if not chunk.get("choices"):
            return None
        return json.dumps({name: value for name, value in chunk.items() if name != "usage"})

    def whole(self, body: bytes) -> Delta:
        """A server that does not stream answers all at once. Raises: as `take`."""
        answer = loads(body)
        delta = self._add(answer, "message") if isinstance(answer, dict) else None
        if not self._began:
            raise e.UpstreamInvalidResponse
        self.done = True
        self._data = body.decode(errors="replace") if self._verbatim else None
        delta = delta or Delta()
        delta.whole = True
        return delta

    def finish(self) -> Finish:
        """The end. Raises: where the reply never began, or was cut: a short answer must not pass for a whole one."""
        if not self._began:
            raise e.UpstreamInvalidResponse
        if not self.finish_reason and not self.done:
            raise e.UpstreamInterrupted
        reason = {"eos": "stop", "eos_token": "stop", "stop_sequence": "stop", "": "stop"}
        return Finish(
            self.model, reason.get(self.finish_reason, self.finish_reason), self.usage, self.provider, self._data
        )

    def _add(self, chunk: dict[str, Any], key: str) -> Delta | None:
        if chunk.get("error"):
            raise translate(Refusal(200, chunk))
        if isinstance(chunk.get("usage"), dict):
            self.usage = _usage(chunk["usage"]) or self.usage
        choices = chunk.get("choices")
        if choices is None and (chunk.get("detail") or chunk.get("message")):
            raise translate(Refusal(200, chunk))
        if not isinstance(choices, list):
            return None
        content = thought = unseen = ""
        for choice in choices:
            if isinstance(choice, dict):
                self._note_finish(choice)
                said = choice.get(key)
                if isinstance(said, dict):
                    content, thought = content + _content(said), thought + _thought(said)
                    unseen += _unseen(said)
                else:
                    unseen += "".join(_letters([choice.get("message"), choice.get("text")]))
        return Delta(content, thought, unseen) if content or thought or unseen else None

    def _note_finish(self, choice: dict[str, Any]) -> None:
        self._began = True
        reason = choice.get("finish_reason")
        if not isinstance(reason, str) or not reason:
            return
        if reason == "error":
            raise e.UpstreamUnavailable
        self._finished.add(str(choice.get("index")))
        if len(self._finished) >= self._replies:
            self.finish_reason = reason


class _Gathered:
    """What events that came at once say, put together only once."""

    def __init__(self, verbatim: bool) -> None:
        self.count = self.signs = 0
        self.events: list[str] = []
        self._verbatim = verbatim
        self._contents: list[str] = []
        self._thoughts: list[str] = []
        self._unseen: list[str] = []

    def __bool__(self) -> bool:
        return bool(self.count or (self._verbatim and self.events))

    def add(self, content: str, thought: str = "", unseen: str = "") -> None:
        """A delta's words."""
        if content or thought or unseen:
            self.count += 1
            self.signs += len(content) + len(thought) + len(unseen)
            self._contents.append(content)
            if thought:
                self._thoughts.append(thought)
            if unseen:
                self._unseen.append(unseen)

    def delta(self) -> Delta:
        """All of it."""
        return Delta(
            "".join(self._contents),
            "".join(self._thoughts),
            "".join(self._unseen),
            self.events if self._verbatim else None,
            self.count,
        )


def _content(said: dict[str, Any]) -> str:
    content = said.get("content")
    if isinstance(content, list):
        return "".join(_text(part.get("text")) for part in content if isinstance(part, dict))
    return _text(content)


def _thought(said: dict[str, Any]) -> str:
    return _text(said.get("reasoning") or said.get("reasoning_content") or said.get("reasoning_text"))


def _unseen(said: dict[str, Any]) -> str:
    """The rest of what a model wrote, whatever its field is called: for tools, to say why it refuses, or spoken."""
    others = said.keys() - _PLAIN
    if len(others) < 2 and others <= _THOUGHTS and all(isinstance(value, str | None) for value in said.values()):
        return ""
    shown = {_content(said), _thought(said)}
    return "".join(text for text in _letters({**said, "content": _but_texts(said.get("content"))}) if text not in shown)


def _but_texts(content: object) -> object:
    """A content without what is shown of it."""
    if not isinstance(content, list):
        return None if isinstance(content, str) else content
    return [
        {**part, "text": None} if isinstance(part, dict) and isinstance(part.get("text"), str) else part
        for part in content
    ]


def _letters(value: object) -> list[str]:
    """Every text in a value, at any depth, but what only names or proves; of what a tool is called with, names too."""
    texts: list[str] = []
    todo = [(value, False)]
    while todo:
        item, argument = todo.pop()
        if isinstance(item, str):
            texts.append(item)
        elif isinstance(item, list):
            todo += [(inner, argument) for inner in item]
        elif isinstance(item, dict):
            kept = [name for name in item if argument or name not in _NO_LETTERS]
            texts += kept if argument else ()
            todo += [(item[name], argument or name in _ARGUMENTS) for name in kept]
        elif argument and item is not None:
            texts.append(str(item))
    return texts


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _usage(counted: dict[str, Any]) -> Usage | None:
    """The provider's count; None where it is no count of tokens."""
    prompt, completion = _tokens(counted.get("prompt_tokens")), _tokens(counted.get("completion_tokens"))
    return None if prompt is None or completion is None else Usage(prompt, completion)


def _tokens(count: object) -> int | None:
    if isinstance(count, float) and count.is_integer():
        count = int(count)
    good = isinstance(count, int) and not isinstance(count, bool) and 0 <= count < MOST_TOKENS
    return count if good else None  # type: ignore[return-value]
