"""The fields and parts of a message: which pass, and which media are refused, wherever they stand."""

import json
from typing import Any

import pytest

from hfchat.api.message_fields import PARTS
from hfchat.api.openai_body import read_completion
from hfchat.errors import HfchatError, InvalidRequest, UnsupportedInput
from hfchat.http.media import PICTURE_PARTS, TEXT_PARTS
from tests.support.rows import each_row

DATA = "data:image/png;base64,iVBORw0KGgo"
INSIDE = "http://169.254.169.254/latest/meta-data/"
CALL = {"id": "c1", "type": "function", "index": 0, "function": {"name": "f", "arguments": '{"image": "x"}'}}


def read(message: dict[str, Any], hosts: frozenset[str] | None = frozenset()) -> dict[str, Any]:
    request = read_completion(json.dumps({"messages": [message]}).encode(), hosts)
    return dict(request.messages[0].payload())


def user(*parts: Any) -> dict[str, Any]:
    return {"role": "user", "content": list(parts)}


PASSES: dict[str, dict[str, Any]] = {
    "a text": {"role": "user", "content": "hi", "name": "ann"},
    "parts": user({"type": "text", "text": "hi", "cache_control": {"type": "ephemeral"}}),
    "a picture": user({"type": "image_url", "image_url": {"url": DATA, "detail": "low"}}),
    "a picture as a text": user({"type": "image_url", "image_url": DATA}),
    "a picture of another form": user({"type": "input_image", "image_url": DATA, "detail": "high"}),
    "texts of another form": user({"type": "input_text", "text": "a"}, {"type": "output_text", "text": "b"}),
    "a call of a tool": {"role": "assistant", "content": None, "tool_calls": [CALL]},
    "arguments as an object": {
        "role": "assistant",
        "tool_calls": [{"function": {"name": "f", "arguments": {"image_url": {"url": INSIDE}}}}],
    },
    "a tool's answer": {"role": "tool", "tool_call_id": "c1", "content": [{"type": "text", "text": "ok"}]},
    "a tool's picture": {"role": "tool", "tool_call_id": "c1", "content": [{"type": "image_url", "image_url": DATA}]},
    "what a model wrote": {
        **{
            "role": "assistant",
            "content": "a",
            "refusal": None,
            "audio": None,
            "function_call": None,
            "parsed": {"a": 1},
        },
        "annotations": [{"type": "url_citation", "url_citation": {"url": "https://a.example", "title": "t"}}],
    },
    "what it thought": {"role": "assistant", "content": "a", "reasoning": "r", "reasoning_content": "r"},
    "details of what it thought": {
        **{"role": "assistant", "content": [{"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]}]},
        **{"reasoning_details": [{"type": "reasoning.text", "text": "r", "signature": "s"}], "prefix": True},
    },
    "null is absent": {"role": "user", "content": "hi", "images": None, "new": None},
}


@each_row("message", PASSES.values(), ids=PASSES)
def test_a_known_message_passes_as_it_is_written(message: dict[str, Any]) -> None:
    assert read(message) == message


MEDIUM = {"type": "image_url", "image_url": {"url": INSIDE}}
REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "an address": (user(MEDIUM), "messages[0].content[0].image_url.url"),
    "an address as a text": (user({"type": "image_url", "image_url": INSIDE}), "messages[0].content[0].image_url"),
    "of another form": (user({"type": "input_image", "image_url": INSIDE}), "messages[0].content[0].image_url"),
    "a file's path": (
        user({"type": "image_url", "image_url": "file:///etc/passwd"}),
        "messages[0].content[0].image_url",
    ),
    "no address": (user({"type": "image_url"}), "messages[0].content[0].image_url"),
    "in a tool's answer": (
        {"role": "tool", "tool_call_id": "c1", "content": [MEDIUM]},
        "messages[0].content[0].image_url.url",
    ),
    "in what a model wrote": ({"role": "assistant", "content": [MEDIUM]}, "messages[0].content[0].image_url.url"),
    "in the owner's place": ({"role": "system", "content": [MEDIUM]}, "messages[0].content[0].type"),
    "a picture in the owner's place": (
        {"role": "developer", "content": [{"type": "image_url", "image_url": DATA}]},
        "messages[0].content[0].type",
    ),
    "another role": ({"role": "ipython", "content": "a"}, "messages[0].role"),
    "a role that is written out": ({"role": "user\n\nsystem", "content": "a"}, "messages[0].role"),
    "more of a picture": (
        user({"type": "image_url", "image_url": {"url": DATA, "max_pixels": 10**9}}),
        "messages[0].content[0].image_url.max_pixels",
    ),
    "beside a text": (
        user({"type": "text", "text": "a", "image_url": {"url": INSIDE}}),
        "messages[0].content[0].image_url",
    ),
    "beside a picture": (
        user({"type": "image_url", "image_url": DATA, "video_url": INSIDE}),
        "messages[0].content[0].video_url",
    ),
    "an unknown kind": (user({"type": "hologram", "hologram": INSIDE}), "messages[0].content[0].type"),
    "pictures of Ollama": ({"role": "user", "content": "a", "images": ["x"]}, "messages[0].images"),
    "a picture beside": ({"role": "user", "content": "a", "image_url": INSIDE}, "messages[0].image_url"),
    "a sound of a model's": ({"role": "assistant", "audio": {"id": "a"}}, "messages[0].audio"),
    "an unknown field": ({"role": "user", "content": "a", "x": "y"}, "messages[0].x"),
    "in a tool's call": (
        {"role": "assistant", "tool_calls": [{**CALL, "image_url": {"url": INSIDE}}]},
        "messages[0].tool_calls[0].image_url",
    ),
    "deep in what it thought": (
        {"role": "assistant", "content": "a", "reasoning_details": [{"a": [MEDIUM]}]},
        "messages[0].reasoning_details[0].a[0].type",
    ),
    "deep in a thought": (
        {"role": "assistant", "content": [{"type": "thinking", "thinking": [{"type": "input_audio", "x": 1}]}]},
        "messages[0].content[0].thinking[0].type",
    ),
    "in what a provider adds": (
        {"role": "assistant", "content": "a", "provider_specific_fields": {"source": INSIDE}},
        "messages[0].provider_specific_fields.source",
    ),
} | {
    f"a part of the kind {kind}": (
        user({"type": kind, kind: {"url": INSIDE, "data": "AAAA"}}),
        "messages[0].content[0].type",
    )
    for kind in (
        *(
            "image",
            "image_pil",
            "image_embeds",
            "video",
            "video_url",
            "input_video",
            "audio",
            "audio_url",
            "input_audio",
        ),
        *(
            "file",
            "input_file",
            "file_url",
            "document",
            "media",
            "tool_result",
            "resource",
            "search_result",
            "IMAGE_URL",
        ),
    )
}


@each_row(("message", "param"), REFUSED.values(), ids=REFUSED)
def test_a_medium_by_address_or_an_unknown_field_is_refused_by_its_path(message: dict[str, Any], param: str) -> None:
    with pytest.raises(UnsupportedInput) as refused:
        read(message)
    assert refused.value.param == param


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "a number as a part": (user(7), "messages[0].content[0]"),
    "a text as a part": (user("hi"), "messages[0].content[0]"),
    "no kind": (user({"text": "hi"}), "messages[0].content[0].type"),
    "a list as a kind": (user({"type": ["text"], "text": "hi"}), "messages[0].content[0].type"),
    "no text in a text": (user({"type": "text", "text": {"value": "hi"}}), "messages[0].content[0].text"),
    "a name that is none": ({"role": "user", "content": "a", "name": {"a": 1}}, "messages[0].name"),
    "prose as a detail": (
        user({"type": "image_url", "image_url": {"url": DATA, "detail": "as much as you can"}}),
        "messages[0].content[0].image_url.detail",
    ),
}


@each_row(("message", "param"), WRONG.values(), ids=WRONG)
def test_a_value_of_another_kind_is_refused_by_its_path(message: dict[str, Any], param: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        read(message)
    assert refused.value.param == param


def test_an_https_picture_passes_where_its_host_is_allowed() -> None:
    message = user({"type": "image_url", "image_url": {"url": "https://a.example/x.png"}})
    assert read(message, frozenset({"a.example"})) == message
    assert read(message, None) == message
    with pytest.raises(HfchatError):
        read(message, frozenset({"b.example"}))


def test_each_kind_of_part_is_counted_as_what_it_is() -> None:
    assert set(PARTS) == {*TEXT_PARTS, *PICTURE_PARTS}
