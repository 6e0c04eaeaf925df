"""What a reply has besides text, on the page: pictures that stay, sources as links, thoughts that are folded."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, expect

from tests.conftest import RunningApp
from tests.page.browser.test_replies import PIXEL
from tests.support.browser import TURN, Visit, visiting
from tests.support.stub_upstream import DONE, Answer, StubUpstream, event, usage_event

PICTURE = ".message.bot a.hfchat-picture img"


@pytest.fixture
def visit(browser: Browser, app: RunningApp, stub: StubUpstream) -> Iterator[Visit]:
    with visiting(browser, app, locale="en-GB") as visitor:
        yield visitor.sign_in()


def says(stub: StubUpstream, *deltas: dict[str, Any], **more: Any) -> None:
    choices = [{"index": 0, "delta": delta, "finish_reason": None} for delta in deltas]
    pieces = [f"data: {json.dumps({'choices': [choice], **more})}\n\n".encode() for choice in choices]
    stub.answer = lambda _: Answer(pieces=[*pieces, event(finish_reason="stop"), usage_event(7, 5), DONE])


def test_a_picture_of_a_reply_is_shown_and_kept_and_never_loaded_from_elsewhere(
    visit: Visit, stub: StubUpstream
) -> None:
    page = visit.page
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    elsewhere = {"type": "image_url", "image_url": {"url": "https://pictures.example/a.png"}}
    says(stub, {"content": "Here it is."}, {"images": [{"image_url": {"url": PIXEL}}, elsewhere]})
    visit.ask("Draw a dot.")
    expect(page.locator(PICTURE)).to_have_js_property("naturalWidth", 1)
    expect(page.get_by_role("link", name="Picture 2")).to_have_attribute("href", "https://pictures.example/a.png")
    expect(page.locator(TURN)).to_be_enabled()
    says(stub, {"content": "It is blue."})
    visit.ask("Which colour has it?")
    visit.wait_for("It is blue.")
    sent = stub.requests[-1]["messages"]
    assert [message["role"] for message in sent] == ["user", "assistant", "user"]
    assert "🖼 Picture 1" in sent[1]["content"]
    assert "base64" not in json.dumps(sent)
    visit.rest()
    page.reload()
    visit.wait_for("It is blue.")
    expect(page.locator(PICTURE)).to_have_js_property("naturalWidth", 1)
    assert not [url for url in asked if "pictures.example" in url]
    assert visit.complaints == []


def test_sources_are_listed_under_a_reply(visit: Visit, stub: StubUpstream) -> None:
    says(stub, {"content": "So it is."}, citations=["https://a.example/b", "javascript:alert(1)"])
    visit.ask("Is it so?")
    visit.wait_for("Sources")
    links = visit.page.locator(".message.bot a")
    expect(links).to_have_count(1)
    expect(links).to_have_attribute("href", "https://a.example/b")
    assert visit.complaints == []


def test_thoughts_in_parts_are_folded_and_not_sent_back(visit: Visit, stub: StubUpstream) -> None:
    says(stub, {"content": [{"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]}]}, {"content": "yes"})
    visit.ask("Is it so?")
    visit.wait_for("Reasoning")
    visit.wait_for("yes")
    says(stub, {"tool_calls": [{"index": 0, "id": "1", "function": {"name": "weather", "arguments": "{}"}}]})
    expect(visit.page.locator(TURN)).to_be_enabled()
    visit.ask("And the weather?")
    visit.wait_for("The model wanted to use a tool: weather.")
    assert [message["content"] for message in stub.requests[-1]["messages"]] == ["Is it so?", "yes", "And the weather?"]
    assert visit.complaints == []
