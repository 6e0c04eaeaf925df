"""Reply parser: the events of a stream, or the JSON of a whole reply, become deltas and a Finish."""

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from hfchat import errors as e
from hfchat.types import Call, Delta, Finish, Usage
from hfchat.upstream.chunks import Frame, loads, plain_word
from hfchat.upstream.sse import ServerSentEvent
from hfchat.upstream.translate import Refusal, translate

# More than any model writes; the stores count in 64 bits.
MAX_USAGE_TOKENS = 1 << 40
_PLAIN = frozenset(("role", "content"))
_REASONING = frozenset(("reasoning", "reasoning_content", "reasoning_text"))
_NOT_TEXT = frozenset(("role", "id", "type", "tool_call_id", "signature", "thought_signature"))
_ARGUMENTS = frozenset(("arguments", "input"))


class Reply:
    """The state of a reply while its events come in."""

    def __init__(self, call: Call, headers: Mapping[str, str]) -> None:
        self.model = call.model
        self.provider = headers.get("x-inference-provider")
        self._passthrough = call.passthrough
        self._replies = call.replies
        self._finished: set[str] = set()
        options = call.options.get("stream_options")
        self._include_usage = isinstance(options, dict) and bool(options.get("include_usage"))
        self.finish_reason = ""
        self.done = False
        self.usage: Usage | None = None
        self._began = self.first_word_sent = False
        self._frame = Frame()
        self._data: str | None = None
        # The size of a delta in characters, so that a turn that exceeds its limit is cut near it.
        self._max_chars = call.max_tokens * call.replies

    def deltas(self, events: Iterable[ServerSentEvent]) -> Iterator[Delta]:
        """The events that came together as one delta, or several where they are long for the call's limit.

        The first word of a reply is a delta of its own, to keep time to first token low.

        Raises: the error in an event, or UpstreamInvalidResponse, after the delta of the events before it.
        """
        buffer = _DeltaBuffer(self._passthrough)
        try:
            for event in events:
                self._read(event, buffer)
                if buffer.count and (buffer.chars > self._max_chars or not self.first_word_sent):
                    yield self._flush(buffer)
                    buffer = _DeltaBuffer(self._passthrough)
        except e.HfchatError:
            if buffer:
                yield self._flush(buffer)
            raise
        if buffer:
            yield self._flush(buffer)

    def _flush(self, buffer: "_DeltaBuffer") -> Delta:
        self.first_word_sent = self.first_word_sent or buffer.count > 0
        return buffer.delta()

    def _read(self, event: ServerSentEvent, buffer: "_DeltaBuffer") -> None:
        if not self.done and event.event == "message" and (word := self._frame.word_in(event.data)) is not None:
            buffer.add(word)
            buffer.events.append(event.data)
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
            buffer.add(word)
            buffer.events.append(data)
            return
        delta = self._add(chunk, "delta")
        if delta is not None:
            buffer.add(delta.content, delta.reasoning, delta.tool_text)
        if self._passthrough and (passed := self._without_usage(chunk, data)) is not None:
            buffer.events.append(passed)

    def _without_usage(self, chunk: dict[str, Any], data: str) -> str | None:
        """The event, without usage where only this program asked for it; None where nothing remains."""
        if self._include_usage or chunk.get("usage") is None:
            return data
        if not chunk.get("choices"):
            return None
        return json.dumps({name: value for name, value in chunk.items() if name != "usage"})

    def whole(self, body: bytes) -> Delta:
        """The one delta of a reply that is not streamed. Raises: as `deltas`."""
        completion = loads(body)
        delta = self._add(completion, "message") if isinstance(completion, dict) else None
        if not self._began:
            raise e.UpstreamInvalidResponse
        self.done = True
        self._data = body.decode(errors="replace") if self._passthrough else None
        delta = delta or Delta()
        delta.whole = True
        return delta

    def finish(self) -> Finish:
        """The end. Raises: UpstreamInvalidResponse for an empty reply; UpstreamInterrupted for one without an end."""
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
        content = reasoning = tool_text = ""
        for choice in choices:
            if isinstance(choice, dict):
                self._note_finish(choice)
                message = choice.get(key)
                if isinstance(message, dict):
                    content, reasoning = content + _content(message), reasoning + _reasoning(message)
                    tool_text += _tool_text(message)
                else:
                    tool_text += "".join(_strings([choice.get("message"), choice.get("text")]))
        return Delta(content, reasoning, tool_text) if content or reasoning or tool_text else None

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


class _DeltaBuffer:
    """The words of events that came together, joined once."""

    def __init__(self, passthrough: bool) -> None:
        self.count = self.chars = 0
        self.events: list[str] = []
        self._passthrough = passthrough
        self._contents: list[str] = []
        self._reasonings: list[str] = []
        self._tool_texts: list[str] = []

    def __bool__(self) -> bool:
        return bool(self.count or (self._passthrough and self.events))

    def add(self, content: str, reasoning: str = "", tool_text: str = "") -> None:
        """Add the words of a delta."""
        if content or reasoning or tool_text:
            self.count += 1
            self.chars += len(content) + len(reasoning) + len(tool_text)
            self._contents.append(content)
            if reasoning:
                self._reasonings.append(reasoning)
            if tool_text:
                self._tool_texts.append(tool_text)

    def delta(self) -> Delta:
        """One delta of all words."""
        return Delta(
            "".join(self._contents),
            "".join(self._reasonings),
            "".join(self._tool_texts),
            self.events if self._passthrough else None,
            self.count,
        )


def _content(message: dict[str, Any]) -> str:
    content = message.get("content")
    if isinstance(content, list):
        return "".join(_text(part.get("text")) for part in content if isinstance(part, dict))
    return _text(content)


def _reasoning(message: dict[str, Any]) -> str:
    return _text(message.get("reasoning") or message.get("reasoning_content") or message.get("reasoning_text"))


def _tool_text(message: dict[str, Any]) -> str:
    """All other text of a message, in any field: arguments of tools, a refusal, a transcript of speech."""
    others = message.keys() - _PLAIN
    if len(others) < 2 and others <= _REASONING and all(isinstance(value, str | None) for value in message.values()):
        return ""
    shown = {_content(message), _reasoning(message)}
    rest = {**message, "content": _without_texts(message.get("content"))}
    return "".join(text for text in _strings(rest) if text not in shown)


def _without_texts(content: object) -> object:
    """A content without the texts that `_content` has."""
    if not isinstance(content, list):
        return None if isinstance(content, str) else content
    return [
        {**part, "text": None} if isinstance(part, dict) and isinstance(part.get("text"), str) else part
        for part in content
    ]


def _strings(value: object) -> list[str]:
    """Every string in a value, at any depth, without ids and signatures; in the arguments of a tool, keys and numbers too."""
    texts: list[str] = []
    stack = [(value, False)]
    while stack:
        item, argument = stack.pop()
        if isinstance(item, str):
            texts.append(item)
        elif isinstance(item, list):
            stack += [(inner, argument) for inner in item]
        elif isinstance(item, dict):
            names = [name for name in item if argument or name not in _NOT_TEXT]
            texts += names if argument else ()
            stack += [(item[name], argument or name in _ARGUMENTS) for name in names]
        elif argument and item is not None:
            texts.append(str(item))
    return texts


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _usage(usage: dict[str, Any]) -> Usage | None:
    """The provider's usage; None where its numbers are no counts of tokens."""
    prompt, completion = _tokens(usage.get("prompt_tokens")), _tokens(usage.get("completion_tokens"))
    return None if prompt is None or completion is None else Usage(prompt, completion)


def _tokens(count: object) -> int | None:
    if isinstance(count, float) and count.is_integer():
        count = int(count)
    valid = isinstance(count, int) and not isinstance(count, bool) and 0 <= count < MAX_USAGE_TOKENS
    return count if valid else None  # type: ignore[return-value]
