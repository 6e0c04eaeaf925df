"""Message reader: the text, the thoughts and the rest of a delta, or of a whole message, in the forms of many providers. Pure.

Every letter that a model wrote is found, whatever its field is named, so that it is counted. Not counted are METADATA, and
what a search found: a provider adds both. Thoughts have fields or parts of their own, and are no part of the content.
"""

import re
from collections.abc import Iterable, Iterator
from typing import Any

from hfchat.types import MAX_PICTURES, MAX_SOURCES, Delta, Extras, Source

# Fields of a message that have thoughts, the usual ones first. Some providers send the same thoughts in several.
REASONING_FIELDS = (
    "reasoning_content",
    "reasoning",
    "reasoning_text",
    "thinking",
    "reasoning_details",
    "thinking_blocks",
    *("thinking_content", "reasoning_summary", "reasoning_steps", "thought", "thoughts"),
)
# Fields of a message that may stand beside it, in its choice.
CHOICE_FIELDS = frozenset((*REASONING_FIELDS, "content", "refusal"))
# Parts of a content that have thoughts (Mistral, Anthropic, OpenAI's responses).
_REASONING_PARTS = frozenset(("thinking", "reasoning", "reasoning_text", "redacted_thinking", "summary_text"))
_PICTURE_PARTS = frozenset(("image_url", "image", "output_image", "input_image", "image_generation_call"))
# Fields of a part that have a picture, and those that have its base64.
_PICTURE_FIELDS = ("image_url", "inline_data", "inlineData", "image_base64")
_BASE64_FIELDS = ("b64_json", "image_base64", "data", "result")
_SOURCES = ("search_results", "annotations", "citations", "sources", "references", "web_search", "documents")
_METADATA = frozenset(
    (
        *("role", "id", "type", "index", "object", "model", "provider", "created", "status", "format", "finish_reason"),
        *("signature", "thought_signature", "encrypted_content", "system_fingerprint", "mime_type", "media_type"),
        *("phase", "logprobs", "usage", "url", "uri", "image_url", "images", "audio_url", "b64_json", "image_base64"),
        *_SOURCES,
    )
)
_ARGUMENTS = frozenset(("arguments", "input"))
# Base64 of a sound, a picture or a sealed thought: no letters that a model wrote. Words are shorter, or apart.
_ENCODED = re.compile(
    r"data:[\w.+/-]{1,60}[;,].*|(?=[^A-Z]*[A-Z])(?=[^a-z]*[a-z])(?=[^0-9]*[0-9])[A-Za-z0-9+/_=-]{200,}", re.DOTALL
)
_MIN_ENCODED_CHARS = 200
_PLAIN = frozenset(("role", "content"))
_CALL = frozenset(("index", "id", "type", "function"))
_FUNCTION = frozenset(("name", "arguments"))
_DEPTH = 32
MAX_TITLE_CHARS = 200
MAX_URL_CHARS = 2000


def read_message(message: dict[str, Any]) -> Delta | None:
    """The delta of one message; None where it says nothing."""
    others = message.keys() - _PLAIN
    content = message.get("content")
    if not others and (content is None or type(content) is str):
        return Delta(content) if content else None
    if len(others) == 1 and (content is None or type(content) is str):
        # The common case besides plain text: one field of thoughts.
        (name,) = others
        thoughts = message[name]
        if name in REASONING_FIELDS and (thoughts is None or type(thoughts) is str):
            return Delta(content or "", thoughts or "") if content or thoughts else None
        if name == "tool_calls" and (delta := _call_delta(content or "", thoughts)) is not None:
            return delta
    reader = _Reader()
    reader.read(message)
    delta = Delta(
        "".join(reader.content), "".join(reader.reasoning), "".join(reader.other), extras=reader.extras or None
    )
    return delta if delta.content or delta.reasoning or delta.tool_text or delta.extras else None


def _call_delta(content: str, calls: object) -> Delta | None:
    """The delta of calls of tools in the usual form; None for any other."""
    texts: list[str] = []
    names: list[str] = []
    for call in calls if type(calls) is list else ():
        function = call.get("function") if type(call) is dict and call.keys() <= _CALL else None
        if type(function) is not dict or not function.keys() <= _FUNCTION:
            return None
        name, arguments = function.get("name") or "", function.get("arguments") or ""
        if type(name) is not str or type(arguments) is not str:
            return None
        texts += (name, arguments)
        if name:
            names.append(name[:MAX_TITLE_CHARS])
    text = "".join(texts)
    return Delta(content, "", text, extras=Extras(tools=names) if names else None) if text else None


def with_reasoning_content(message: dict[str, Any]) -> dict[str, Any]:
    """The message with its thoughts in `reasoning_content`, and a content of texts only as one text; itself if it is so already.

    What the provider wrote in fields of its own stays beside it.
    """
    content = message.get("content")
    in_parts = type(content) is list and _texts_only(content)
    if not in_parts and (message.get("reasoning_content") or message.keys().isdisjoint(REASONING_FIELDS)):
        return message
    thoughts = next((message[name] for name in REASONING_FIELDS if message.get(name)), None)
    if not in_parts and (thoughts is None or type(thoughts) is str):
        return {**message, "reasoning_content": thoughts} if thoughts else message
    reader = _Reader()
    reader.read(message)
    reasoning = "".join(reader.reasoning)
    changed = dict(message)
    if in_parts:
        changed["content"] = "".join(reader.parts) or (None if reasoning else "")
    if reasoning and message.get("reasoning_content") != reasoning:
        changed["reasoning_content"] = reasoning
    return changed if changed != message else message


def sources_in(holder: dict[str, Any]) -> list[Source]:
    """The sources that a message, or the chunk around it, names: citations, results of a search, annotations."""
    if holder.keys().isdisjoint(_SOURCES):
        return []
    sources: dict[str, str] = {}
    for name in _SOURCES:
        listed = holder.get(name)
        listed = list(listed.values()) if isinstance(listed, dict) else listed
        for item in listed[:MAX_SOURCES] if isinstance(listed, list) else ():
            url, title = _source(item)
            if url and len(url) <= MAX_URL_CHARS and (title or url not in sources):
                sources[url] = title[:MAX_TITLE_CHARS] or sources.get(url, "")
    return [Source(url, title) for url, title in list(sources.items())[:MAX_SOURCES]]


def strings(value: object) -> Iterator[str]:
    """Every string in a value that a model may have written; in the arguments of a tool, keys and numbers too."""
    stack = [(value, False, 0)]
    while stack:
        item, argument, depth = stack.pop()
        if isinstance(item, str):
            if argument or len(item) < _MIN_ENCODED_CHARS or not _ENCODED.fullmatch(item):
                yield item
        elif depth > _DEPTH or _is_sealed(item):
            continue
        elif isinstance(item, list):
            stack += [(inner, argument, depth + 1) for inner in reversed(item)]
        elif isinstance(item, dict):
            names = [name for name in item if argument or not _is_metadata(name)]
            if argument:
                yield from names
            stack += [(item[name], argument or name in _ARGUMENTS, depth + 1) for name in reversed(names)]
        elif argument and item is not None:
            yield str(item)


def _is_sealed(item: object) -> bool:
    """Whether it is a thought that only its provider can read."""
    return isinstance(item, dict) and item.get("type") in ("reasoning.encrypted", "redacted_thinking")


def _is_metadata(name: str) -> bool:
    return name in _METADATA or name.endswith(("_id", "_signature", "_url"))


class _Reader:
    """What is in one message. `parts` are the texts of a content that is a list, `other` is text that is shown to nobody."""

    def __init__(self) -> None:
        self.content: list[str] = []
        self.parts: list[str] = []
        self.reasoning: list[str] = []
        self.other: list[str] = []
        self.extras = Extras()

    def read(self, message: dict[str, Any]) -> None:
        content = message.get("content")
        if isinstance(content, str):
            self.content.append(content)
        elif content is not None:
            self._read_parts(content if isinstance(content, list) else [content])
        for name in REASONING_FIELDS:
            if message.get(name):
                self._add_thoughts("".join(strings(message[name])))
        refusal = "".join(strings(message.get("refusal")))
        if refusal and refusal != "".join(self.content):
            self.content.append(refusal)
        for name in ("images", "image", "image_url"):
            pictures = message.get(name)
            self._read_pictures(pictures if isinstance(pictures, list) else [pictures])
        self.extras.sources += sources_in(message)
        self._read_tools(message)
        read = {"content", "refusal", *REASONING_FIELDS}
        shown = {"".join(self.content), "".join(self.reasoning)}
        rest = {name: value for name, value in message.items() if name not in read}
        self.other += [text for text in strings(rest) if text not in shown]

    def _read_parts(self, parts: list[Any]) -> None:
        for part in parts:
            if isinstance(part, str):
                self._add_text(part)
            elif isinstance(part, dict):
                self._read_part(part)
            else:
                self.other += strings(part)

    def _read_part(self, part: dict[str, Any]) -> None:
        kind, text = part.get("type"), part.get("text")
        if isinstance(text, dict) and isinstance(text.get("value"), str):
            part, text = {**part, **text}, text["value"]
        if kind in _REASONING_PARTS or part.get("thought") is True or (kind is None and "thinking" in part):
            self._add_thoughts("".join(strings(part)), more=True)
        elif kind in _PICTURE_PARTS or (kind is None and not part.keys().isdisjoint(_PICTURE_FIELDS)):
            self._read_pictures([part])
        elif isinstance(text, str) or kind == "refusal":
            self._add_text(text if isinstance(text, str) else "".join(strings(part.get("refusal"))))
            self.extras.sources += sources_in(part)
            self.other += strings(
                {name: value for name, value in part.items() if name not in ("text", "value", "refusal")}
            )
        else:
            self.other += strings(part)

    def _add_text(self, text: str) -> None:
        self.content.append(text)
        self.parts.append(text)

    def _add_thoughts(self, text: str, *, more: bool = False) -> None:
        """`more`: a further part of the same content. The thoughts of several fields are the same in other words, or the same."""
        if text and (more or not self.reasoning):
            self.reasoning.append(text)
        elif text and text != "".join(self.reasoning):
            self.other.append(text)

    def _read_pictures(self, items: Iterable[Any]) -> None:
        for item in items:
            url = item if isinstance(item, str) else _picture(item) if isinstance(item, dict) else None
            if isinstance(url, str) and url and len(self.extras.pictures) < MAX_PICTURES:
                self.extras.pictures.append(url)

    def _read_tools(self, message: dict[str, Any]) -> None:
        calls = message.get("tool_calls")
        functions = (
            [call.get("function") or call.get("custom") for call in calls if isinstance(call, dict)]
            if isinstance(calls, list)
            else []
        )
        for function in (*functions, message.get("function_call")):
            if isinstance(function, dict):
                name = function.get("name")
                self.extras.tools.append(name[:MAX_TITLE_CHARS] if isinstance(name, str) else "")


def _picture(part: dict[str, Any]) -> object:
    """The address of a picture in any of its forms: `image_url`, `url`, or base64 with its media type."""
    url = part.get("image_url") or part.get("url") or part.get("image")
    if isinstance(url, dict):
        url = url.get("url") or _picture(url)
    inner = part.get("source") or part.get("inline_data") or part.get("inlineData")
    holder = inner if isinstance(inner, dict) else part
    data = next((holder[name] for name in _BASE64_FIELDS if holder.get(name)), None)
    if url is None and isinstance(data, str):
        kind = holder.get("media_type") or holder.get("mime_type") or holder.get("mimeType") or "image/png"
        url = data if data.startswith("data:") else f"data:{kind};base64,{data}"
    return url


def _source(item: object) -> tuple[str, str]:
    """The address and the title of a source: a text, or an object with both, or with `url_citation`."""
    if isinstance(item, dict):
        cited = item.get("url_citation") or item.get("web") or item.get("source") or item
        item = cited if isinstance(cited, dict) else item
        url, title = item.get("url") or item.get("uri") or item.get("link"), item.get("title") or item.get("name")
        return url if isinstance(url, str) else "", title if isinstance(title, str) else ""
    return (item, "") if isinstance(item, str) else ("", "")


def _texts_only(parts: list[Any]) -> bool:
    """Whether every part is a text or a thought, so that nothing is lost in `content` and `reasoning_content`."""
    return all(
        isinstance(part, str)
        or (
            isinstance(part, dict)
            and (
                part.get("type") in _REASONING_PARTS
                or isinstance(part.get("text"), str)
                or part.get("type") == "refusal"
            )
        )
        for part in parts
    )
