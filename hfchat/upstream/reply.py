"""Reply parser: the events of a stream, or the JSON of a whole reply, become deltas and a Finish."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from hfchat import errors as e
from hfchat.types import Call, Delta, Extras, Finish, Usage
from hfchat.upstream.chunks import Frame, dumps, loads, plain_word
from hfchat.upstream.completion import chunks_of, completion_of, with_plain_messages
from hfchat.upstream.message import CHOICE_FIELDS, read_message, sources_in
from hfchat.upstream.sse import ServerSentEvent
from hfchat.upstream.stream_body import JSON_BODY
from hfchat.upstream.translate import Refusal, translate

# More than any model writes; the stores count in 64 bits.
MAX_USAGE_TOKENS = 1 << 40


class Reply:
    """The state of a reply while its events come in."""

    def __init__(self, call: Call, headers: Mapping[str, str]) -> None:
        self.model = call.model
        self.provider = headers.get("x-inference-provider")
        self._passthrough = call.passthrough
        self._stream = call.stream
        self._replies = call.replies
        self._said_something = False
        self._finished: set[str] = set()
        options = call.options.get("stream_options")
        # Where the events are put together as one answer, it has usage.
        self._include_usage = not call.stream or (isinstance(options, dict) and bool(options.get("include_usage")))
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
                if event.event == JSON_BODY:
                    yield self._whole_of_stream(event.data)
                    continue
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
            self._said_something = self._said_something or bool(word)
            self._frame.learn(data, word)
            sources = sources_in(chunk)
            buffer.add(word, extras=Extras(sources=sources) if sources else None)
            buffer.events.append(data)
            return
        said_before = self._said_something
        delta = self._add(chunk, "delta")
        if delta is not None:
            buffer.add(delta.content, delta.reasoning, delta.tool_text, delta.extras)
        if self._passthrough:
            buffer.events += self._passed_on(chunk, data, whole=not said_before)

    def _passed_on(self, chunk: dict[str, Any], data: str, *, whole: bool) -> list[str]:
        """The event as the provider wrote it, but with its thoughts in `reasoning_content`, and without usage where only this
        program asked for it. A message that is `whole` in one event becomes the chunks of a stream.
        """
        if whole and self._stream and _has_message(chunk):
            return [dumps(part) for part in chunks_of(chunk, include_usage=self._include_usage)]
        counted = not self._include_usage and chunk.get("usage") is not None
        if counted and not chunk.get("choices"):
            return []
        passed = with_plain_messages(chunk, "delta")
        if counted:
            passed = {name: value for name, value in passed.items() if name != "usage"}
        return [data if passed is chunk else dumps(passed)]

    def whole(self, body: bytes | str) -> Delta:
        """The one delta of a reply that is not streamed; with `events` where the call is to be streamed. Raises: as `deltas`."""
        completion = listed = loads(body)
        if isinstance(listed, list):
            parts = [part for part in listed if isinstance(part, dict)]
            completion = parts[0] if len(parts) == 1 else completion_of(parts)
        delta = self._add(completion, "message") if isinstance(completion, dict) else None
        if not self._began:
            raise e.UpstreamInvalidResponse
        self.done = True
        delta = delta or Delta()
        delta.whole = True
        if self._passthrough and self._stream:
            delta.events = [dumps(chunk) for chunk in chunks_of(completion, include_usage=self._include_usage)]
        elif self._passthrough:
            passed = with_plain_messages(completion, "message")
            text = body if isinstance(body, str) else body.decode(errors="replace")
            self._data = text if passed is listed else dumps(passed)
        return delta

    def _whole_of_stream(self, data: str) -> Delta:
        try:
            return self.whole(data)
        except e.UpstreamUnavailable as error:  # an error that says nothing, where a stream was announced
            raise e.UpstreamInvalidResponse from error

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
        sources = sources_in(chunk)
        deltas = [Delta(extras=Extras(sources=sources))] if sources else []
        for choice in choices:
            if isinstance(choice, dict):
                self._note_finish(choice)
                if (delta := self._read_choice(choice, key)) is not None:
                    deltas.append(delta)
        if len(deltas) < 2:
            return deltas[0] if deltas else None
        added = _DeltaBuffer(passthrough=False)
        for delta in deltas:
            added.add(delta.content, delta.reasoning, delta.tool_text, delta.extras)
        return added.delta()

    def _read_choice(self, choice: dict[str, Any], key: str) -> Delta | None:
        """What a choice says: in its delta or message, or, in the form before chat completions, in `text`."""
        message, text = choice.get(key), choice.get("text")
        if isinstance(message, str | list):
            message = {"content": message}
        if not isinstance(message, dict):
            message = choice.get("message")
            if not isinstance(message, dict):
                message = {}
            elif self._said_something:
                # The whole message again, at the end of its stream.
                return None
        if isinstance(text, str) and text and not message.get("content"):
            message = {**message, "content": text}
        beside = choice.keys() & CHOICE_FIELDS - message.keys()
        delta = read_message({**{name: choice[name] for name in beside}, **message} if beside else message)
        self._said_something = self._said_something or delta is not None
        return delta

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


def _has_message(chunk: dict[str, Any]) -> bool:
    """Whether it is a completion, and no chunk of one."""
    choices = [choice for choice in chunk.get("choices") or () if isinstance(choice, dict)]
    return any(isinstance(choice.get("message"), dict) and not choice.get("delta") for choice in choices)


class _DeltaBuffer:
    """The words of events that came together, joined once."""

    def __init__(self, passthrough: bool) -> None:
        self.count = self.chars = 0
        self.events: list[str] = []
        self._passthrough = passthrough
        self._contents: list[str] = []
        self._reasonings: list[str] = []
        self._tool_texts: list[str] = []
        self._extras: Extras | None = None

    def __bool__(self) -> bool:
        return self.count > 0 or self._extras is not None or (self._passthrough and bool(self.events))

    def add(self, content: str, reasoning: str = "", tool_text: str = "", extras: Extras | None = None) -> None:
        """Add the words of a delta."""
        if extras is not None:
            self._extras = self._extras or Extras()
            self._extras.add(extras)
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
            extras=self._extras,
        )


def _usage(usage: dict[str, Any]) -> Usage | None:
    """The provider's usage; None where its numbers are no counts of tokens."""
    prompt, completion = _tokens(usage.get("prompt_tokens")), _tokens(usage.get("completion_tokens"))
    return None if prompt is None or completion is None else Usage(prompt, completion)


def _tokens(count: object) -> int | None:
    if isinstance(count, float) and count.is_integer():
        count = int(count)
    valid = isinstance(count, int) and not isinstance(count, bool) and 0 <= count < MAX_USAGE_TOKENS
    return count if valid else None  # type: ignore[return-value]
