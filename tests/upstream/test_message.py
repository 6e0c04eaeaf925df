"""A message in the forms of many providers: its text, its thoughts, its pictures and sources, and what a model did not write."""

from typing import Any

import pytest

from hfchat.types import MAX_PICTURES, MAX_SOURCES, MAX_TOOLS, Delta, Extras, Source
from hfchat.upstream.message import read_message, sources_in, with_reasoning_content
from tests.support.rows import each_row

TEXT = "a few words"
DATA = "data:image/png;base64,iVBORw0KGgo"

THOUGHTS: dict[str, dict[str, Any]] = {
    "reasoning_content": {"reasoning_content": TEXT},
    "reasoning": {"content": None, "reasoning": TEXT},
    "reasoning as an object": {"reasoning": {"content": TEXT, "type": "text"}},
    "reasoning as a list": {"reasoning": [{"text": TEXT}]},
    "reasoning_text": {"reasoning_text": TEXT},
    "thinking": {"thinking": TEXT},
    "thinking as an object": {"thinking": {"content": TEXT, "signature": "s"}},
    "details": {
        "reasoning_details": [{"type": "reasoning.text", "text": TEXT, "format": "vendor-v1", "id": "rs_1", "index": 0}]
    },
    "a summary": {"reasoning_details": [{"type": "reasoning.summary", "summary": TEXT}]},
    "blocks": {"content": "", "thinking_blocks": [{"type": "thinking", "thinking": TEXT, "signature": "s"}]},
    "a part": {"content": [{"type": "thinking", "thinking": TEXT}]},
    "a part with parts": {
        "content": [{"type": "thinking", "thinking": [{"type": "text", "text": TEXT}], "closed": True}]
    },
    "a part of another name": {"content": [{"type": "reasoning", "text": TEXT}]},
    "thinking_content": {"thinking_content": TEXT},
    "thought": {"thought": TEXT},
    "steps of a search": {
        "reasoning_steps": [{"type": "web_search", "thought": TEXT, "web_search": {"search_results": []}}]
    },
    "a part that says so": {"content": [{"thought": True, "text": TEXT}]},
    "beside a sealed one": {
        "reasoning": TEXT,
        "reasoning_details": [{"type": "reasoning.encrypted", "data": "gAAAAABk+/="}],
    },
    "in two fields": {"reasoning": TEXT, "reasoning_content": TEXT},
    "in a field and in details": {"reasoning": TEXT, "reasoning_details": [{"type": "reasoning.text", "text": TEXT}]},
}


@each_row("message", THOUGHTS.values(), ids=THOUGHTS)
def test_thoughts_are_found_in_every_form_and_in_one_field(message: dict[str, Any]) -> None:
    assert read_message({"role": "assistant", **message}) == Delta("", TEXT)
    assert with_reasoning_content(message)["reasoning_content"] == TEXT
    assert not with_reasoning_content(message).get("content")


TEXTS: dict[str, dict[str, Any]] = {
    "a text": {"content": TEXT},
    "a part": {"content": [{"type": "text", "text": TEXT}]},
    "two parts": {"content": [{"type": "text", "text": TEXT[:3]}, {"type": "output_text", "text": TEXT[3:]}]},
    "texts": {"content": [TEXT]},
    "an object": {"content": {"type": "text", "text": TEXT}},
    "a refusal": {"content": None, "refusal": TEXT},
    "a refusal that is the content too": {"content": TEXT, "refusal": TEXT},
    "a refusal as a list": {"refusal": [{"text": TEXT}]},
    "a text with its annotations": {"content": [{"type": "text", "text": {"value": TEXT, "annotations": []}}]},
    "a part with a refusal": {"content": [{"type": "refusal", "refusal": TEXT}]},
}


@each_row("message", TEXTS.values(), ids=TEXTS)
def test_the_text_is_found_in_every_form(message: dict[str, Any]) -> None:
    assert read_message(message) == Delta(TEXT)


COUNTED: dict[str, dict[str, Any]] = {
    "arguments": {"tool_calls": [{"index": 0, "id": "call_1", "type": "function", "function": {"arguments": TEXT}}]},
    "speech": {"audio": {"id": "a", "transcript": TEXT, "data": "Ab1+" * 100, "expires_at": 5}},
    "an unknown field": {"vendor": {"deep": [{"words": TEXT, "signature": "s" * 99, "item_id": "x" * 99}]}},
    "a sealed thought": {"vendor": TEXT, "reasoning_details": [{"type": "reasoning.encrypted", "data": "Ab1+" * 100}]},
    "one long word": {"vendor": {"words": TEXT}, "url": "https://a.example"},
}


@pytest.mark.parametrize("message", COUNTED.values(), ids=COUNTED)
def test_what_is_shown_to_nobody_is_counted_without_what_no_model_wrote(message: dict[str, Any]) -> None:
    delta = read_message(message)
    assert delta is not None
    assert (delta.content, delta.reasoning, delta.tool_text) == ("", "", TEXT)


def test_a_long_word_is_a_word() -> None:
    delta = read_message({"vendor": "x" * 500})
    assert delta is not None
    assert len(delta.tool_text) == 500


PICTURES: dict[str, dict[str, Any]] = {
    "images": {"content": "", "images": [{"type": "image_url", "image_url": {"url": DATA}}]},
    "an address as a text": {"images": [{"image_url": DATA}]},
    "texts": {"images": [DATA]},
    "a part": {"content": [{"type": "image_url", "image_url": {"url": DATA}}]},
    "a part of Anthropic's": {"content": [{"type": "image", "source": {"media_type": "image/png", "data": DATA[22:]}}]},
    "base64": {"content": [{"type": "output_image", "b64_json": DATA[22:]}]},
    "a part of Gemini's": {"content": [{"inlineData": {"mimeType": "image/png", "data": DATA[22:]}}]},
    "a part of Gemini's, in Python": {"content": [{"inline_data": {"mime_type": "image/png", "data": DATA[22:]}}]},
    "a part of OpenAI's responses": {"content": [{"type": "image_generation_call", "result": DATA[22:]}]},
    "a part of Mistral's": {"content": [{"type": "image_url", "image_base64": DATA}]},
    "image_url": {"image_url": {"url": DATA}},
    "image": {"image": {"url": DATA}},
}


@each_row("message", PICTURES.values(), ids=PICTURES)
def test_pictures_are_found_and_are_no_letters(message: dict[str, Any]) -> None:
    assert read_message(message) == Delta(extras=Extras(pictures=[DATA]))


CITED = {"type": "url_citation", "url_citation": {"url": "https://a.example", "title": "A", "start_index": 0}}
FOUND: dict[str, dict[str, Any]] = {
    "annotations": {"annotations": [CITED]},
    "annotations of a part": {"annotations": [{"type": "url_citation", "url": "https://a.example", "title": "A"}]},
    "results of a search": {"search_results": [{"title": "A", "url": "https://a.example", "snippet": "long"}]},
    "citations by number": {"citations": {"1": {"url": "https://a.example", "title": "A"}}},
    "results of Zhipu's search": {"web_search": [{"link": "https://a.example", "title": "A", "content": "long"}]},
    "citations beside results": {
        "citations": ["https://a.example"],
        "search_results": [{"title": "A", "url": "https://a.example"}],
    },
}


@each_row("message", FOUND.values(), ids=FOUND)
def test_sources_are_found_and_are_no_letters(message: dict[str, Any]) -> None:
    delta = read_message({"content": TEXT, **message})
    assert delta == Delta(TEXT, extras=Extras(sources=[Source("https://a.example", "A")]))


def test_pictures_and_sources_are_bounded() -> None:
    assert len(sources_in({"citations": [f"https://a.example/{number}" for number in range(999)]})) == MAX_SOURCES
    delta = read_message({"images": [f"{DATA}{number}" for number in range(99)]})
    assert delta is not None
    assert delta.extras is not None
    assert len(delta.extras.pictures) == MAX_PICTURES


def test_so_are_those_of_many_deltas() -> None:
    extras = Extras()
    for number in range(300):
        source = Source(f"https://a.example/{number}", "A")
        extras.add(Extras([f"{DATA}{number}"], [source], [f"f{number}"]))
    assert [len(extras.pictures), len(extras.sources), len(extras.tools)] == [MAX_PICTURES, MAX_SOURCES, MAX_TOOLS]


def test_the_names_of_tools_are_found() -> None:
    calls = [{"index": place, "function": {"name": name, "arguments": "{}"}} for place, name in enumerate("fg")]
    for message in ({"tool_calls": calls}, {"content": None, "tool_calls": [*calls, None]}):
        delta = read_message(message)
        assert delta is not None
        assert delta.extras == Extras(tools=["f", "g"])


UNCHANGED: list[dict[str, Any]] = [
    {"content": TEXT},
    {"content": TEXT, "reasoning_content": "hm", "reasoning": "hm"},
    {"content": [{"type": "text", "text": TEXT}, {"type": "image_url", "image_url": {"url": DATA}}]},
    {"tool_calls": []},
    {},
]


@pytest.mark.parametrize("message", UNCHANGED, ids=str)
def test_a_message_that_has_its_thoughts_in_their_place_stays_as_it_is(message: dict[str, Any]) -> None:
    assert with_reasoning_content(message) is message
