"""Completion and chunks: one answer of chat completions as the chunks of a stream, and the other way round. Pure.

Neither way loses anything: tool calls, thoughts, a refusal, `logprobs`, several choices, and fields that only one provider has.
"""

import secrets
from collections.abc import Iterable, Mapping
from operator import is_
from typing import Any

from hfchat.upstream.chunks import dumps
from hfchat.upstream.message import with_reasoning_content

# Text of these comes once, and is no piece of a longer one.
_ONCE = frozenset(("role", "id", "type", "index", "object", "model", "created", "format", "finish_reason", "signature"))
_TEXTS = ("text", "thinking")
_MAX_DEPTH = 32


def with_plain_messages(holder: dict[str, Any], key: str) -> dict[str, Any]:
    """The chunk or the completion with each `delta` or `message` (the `key`) as `with_reasoning_content` has it; itself if it is
    so already. A choice of a completion that has `text` only gets a message.
    """
    choices = holder.get("choices")
    if not isinstance(choices, list):
        return holder
    changed = [_plain_choice(choice, key) if isinstance(choice, dict) else choice for choice in choices]
    return holder if all(map(is_, changed, choices)) else {**holder, "choices": changed}


def _plain_choice(choice: dict[str, Any], key: str) -> dict[str, Any]:
    message, text = choice.get(key), choice.get("text")
    if not isinstance(message, dict):
        if not isinstance(text, str) or isinstance(choice.get("message"), dict):
            return choice
        role = {"role": "assistant"} if key == "message" else {}
        return {**choice, key: {**role, "content": text}}
    plain = with_reasoning_content(message)
    return choice if plain is message else {**choice, key: plain}


def chunks_of(completion: Mapping[str, Any], *, include_usage: bool) -> list[dict[str, Any]]:
    """The chunks that a server would have streamed: for each choice its message, then its finish reason; at the end usage."""
    head = {name: value for name, value in completion.items() if name not in ("choices", "usage")}
    head["object"] = "chat.completion.chunk"
    chunks: list[dict[str, Any]] = []
    listed = completion.get("choices")
    choices = [choice for choice in listed if isinstance(choice, dict)] if isinstance(listed, list) else []
    for place, choice in enumerate(choices):
        choice = _plain_choice(choice, "message")
        message = choice.get("message")
        delta = {"role": "assistant", **_delta_of(message if isinstance(message, dict) else {})}
        index = _index(choice, place)
        more = {
            name: value for name, value in choice.items() if name not in ("message", "text", "finish_reason", "index")
        }
        chunks.append({**head, "choices": [{"index": index, "delta": delta, "finish_reason": None, **more}]})
        reason = choice.get("finish_reason") or _reason_of(delta)
        chunks.append({**head, "choices": [{"index": index, "delta": {}, "finish_reason": reason}]})
    if include_usage and isinstance(completion.get("usage"), dict):
        chunks.append({**head, "choices": [], "usage": completion["usage"]})
    return chunks


def _delta_of(message: Mapping[str, Any]) -> dict[str, Any]:
    """The message without what is null, and with the places of its tool calls."""
    delta = {name: value for name, value in message.items() if value is not None or name == "content"}
    calls = delta.get("tool_calls")
    if isinstance(calls, list):
        calls = [call for call in calls if isinstance(call, dict)]
        delta["tool_calls"] = [_whole_call(call) | {"index": place} for place, call in enumerate(calls)]
    return delta


def completion_of(chunks: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """The one answer that these chunks of a stream are; with `choices` as they came, and usage where a chunk had it."""
    completion: dict[str, Any] = {}
    choices: dict[int, _Choice] = {}
    for chunk in chunks:
        for name, value in chunk.items():
            if name != "choices" and value is not None and (name not in _ONCE or name not in completion):
                completion[name] = value
        listed = chunk.get("choices")
        for place, choice in enumerate(listed if isinstance(listed, list) else ()):
            if isinstance(choice, dict):
                choices.setdefault(_index(choice, place), _Choice()).add(choice)
    whole = [{"index": index, **choices[index].whole()} for index in sorted(choices)]
    return {**completion, "object": "chat.completion", "choices": whole}


class _Choice:
    """One choice while its chunks come in."""

    def __init__(self) -> None:
        self._message: dict[str, Any] = {}
        self._calls: list[dict[str, Any]] = []
        self._logprobs: dict[str, Any] = {}
        self._fields: dict[str, Any] = {}

    def add(self, choice: Mapping[str, Any]) -> None:
        for name, value in choice.items():
            if name == "logprobs" and isinstance(value, dict):
                _merge(self._logprobs, value)
            elif name not in ("index", "delta", "message", "text", "logprobs") and (value is not None):
                self._fields[name] = value
        delta, text = choice.get("delta"), choice.get("text")
        if not isinstance(delta, dict):
            message = choice.get("message")
            delta = message if isinstance(message, dict) and not self._message else {}
        if isinstance(text, str) and not delta.get("content"):
            delta = {**delta, "content": text}
        for call in _listed(delta.get("tool_calls")):
            self._add_call(call)
        _merge(self._message, {name: value for name, value in delta.items() if name != "tool_calls"})

    def _add_call(self, piece: dict[str, Any]) -> None:
        """Add to the call of the same index, or, where none is given, of the same id; a new name begins another call.

        Some servers give all calls the index 0: there a new id with a name is another call, too.
        """
        index, call_id = piece.get("index"), piece.get("id")
        function = piece.get("function")
        named = isinstance(function, dict) and bool(function.get("name"))
        of_index = [call for call in self._calls if index is not None and call.get("index") == index]
        call = of_index[-1] if of_index else None
        if call is not None and named and call_id and call.get("id") not in (None, "", call_id):
            same = [other for other in of_index if other.get("id") == call_id]
            call = same[0] if same else None
        elif call is None and index is None and self._calls:
            same = [call for call in self._calls if call_id and call.get("id") == call_id]
            call = same[0] if same else None if named or call_id else self._calls[-1]
        if call is None:
            call = {}
            self._calls.append(call)
        _merge(call, piece)

    def whole(self) -> dict[str, Any]:
        message: dict[str, Any] = {"role": "assistant", "content": None, **self._message}
        if self._calls:
            message["tool_calls"] = [
                {name: value for name, value in _whole_call(call).items() if name != "index"} for call in self._calls
            ]
        elif message["content"] is None and not message.get("refusal") and "function_call" not in message:
            message["content"] = ""
        message = with_reasoning_content(message)
        return {
            "message": message,
            "finish_reason": _reason_of(message),
            "logprobs": self._logprobs or None,
            **self._fields,
        }


def _index(choice: Mapping[str, Any], place: int) -> int:
    index = choice.get("index")
    return index if isinstance(index, int) else place


def _listed(value: object) -> list[dict[str, Any]]:
    items = value if isinstance(value, list) else [value]
    return [item for item in items if isinstance(item, dict)]


def _reason_of(message: Mapping[str, Any]) -> str:
    """The finish reason of a message that came without one."""
    if message.get("tool_calls"):
        return "tool_calls"
    return "function_call" if message.get("function_call") else "stop"


def _whole_call(call: Mapping[str, Any]) -> dict[str, Any]:
    """The call of a tool with what clients read: an id, its type, and arguments as text."""
    whole = {"id": None, "type": "function", **call}
    whole["id"] = whole["id"] or f"call_{secrets.token_hex(12)}"
    function = whole.get("function")
    if isinstance(function, dict):
        arguments = function.get("arguments")
        if not isinstance(arguments, str):
            arguments = "" if arguments is None else dumps(arguments)
        whole["function"] = {**function, "arguments": arguments}
    return whole


def _merge(into: dict[str, Any], piece: Mapping[str, Any], depth: int = 0) -> None:
    """Add the fields of a further piece: texts are joined, lists by the `index` of their items, or by their type."""
    for name, value in piece.items():
        known = into.get(name)
        if value is None or (name in _ONCE and known is not None and known != ""):
            into.setdefault(name, value)
        elif isinstance(value, str) and isinstance(known, str):
            into[name] = known if name == "name" and known == value else known + value
        elif isinstance(value, dict) and isinstance(known, dict) and depth < _MAX_DEPTH:
            _merge(known, value, depth + 1)
        elif isinstance(value, list) and isinstance(known, list | str):
            into[name] = _as_list(known)
            _extend(into[name], value, depth + 1)
        elif isinstance(value, str) and isinstance(known, list):
            _extend(known, [{"type": "text", "text": value}] if value else [], depth + 1)
        elif isinstance(value, list):
            into[name] = []
            _extend(into[name], value, depth + 1)
        else:
            into[name] = _merged({}, value, depth + 1) if isinstance(value, dict) else value


def _merged(into: dict[str, Any], piece: Mapping[str, Any], depth: int) -> dict[str, Any]:
    if depth < _MAX_DEPTH:
        _merge(into, piece, depth)
    return into


def _as_list(known: list[Any] | str) -> list[Any]:
    if isinstance(known, list):
        return known
    return [{"type": "text", "text": known}] if known else []


def _extend(items: list[Any], more: list[Any], depth: int) -> None:
    for item in more:
        same = _same_item(items, item) if depth < _MAX_DEPTH else None
        if same is not None:
            _merge(same, item, depth)
        else:
            items.append(_merged({}, item, depth) if isinstance(item, dict) else item)


def _same_item(items: list[Any], item: object) -> dict[str, Any] | None:
    """The item of the list that this one is a further piece of: of the same index, or the last, if it is a text of that type."""
    if not isinstance(item, dict):
        return None
    if isinstance(item.get("index"), int):
        return next((known for known in items if isinstance(known, dict) and known.get("index") == item["index"]), None)
    last = items[-1] if items else None
    texts = [name for name in _TEXTS if name in item]
    same = isinstance(last, dict) and bool(texts) and last.get("type") == item.get("type") and texts[0] in last
    return last if same and isinstance(last, dict) and not last.get("annotations") else None
