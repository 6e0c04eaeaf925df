"""The main job on a real language model: xllamacpp serves Gemma 3 270M; the page and the API chat with it.

It is a base model: what it says is nonsense, that it says it token by token is real.
"""

import json
import re
import subprocess
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, expect

from hfchat.client import send_chat_message
from tests.conftest import RunningApp, make_settings, make_token, running
from tests.support.browser import visiting
from tests.support.real_model import real_model

QUESTION = {"messages": [{"role": "user", "content": "Once upon a time"}], "max_tokens": 24}


@pytest.fixture(scope="module")
def model_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with real_model(tmp_path_factory.mktemp("model")) as url:
        yield url


@pytest.fixture(scope="module")
def app(model_url: str) -> Iterator[RunningApp]:
    with running(make_settings(HF_CHAT_BASE_URL=model_url, HF_CHAT_MODEL="gemma", HF_CHAT_MAX_TOKENS="48")) as served:
        yield served


def curl(app: RunningApp, body: object) -> str:
    command = [
        "curl",
        "-sN",
        f"{app.url}/api/ai/chat",
        "-H",
        f"Authorization: Bearer {make_token()}",
        "-d",
        json.dumps(body),
    ]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=120).stdout


def test_curl_gets_a_reply_and_its_usage(app: RunningApp) -> None:
    answer = json.loads(curl(app, QUESTION))
    assert answer["reply"].strip()
    assert answer["model"] == "gemma"
    assert 0 < answer["usage"]["completion_tokens"] <= 24
    assert answer["usage"]["prompt_tokens"] > 3


def test_curl_gets_a_stream_token_by_token(app: RunningApp) -> None:
    events = curl(app, {**QUESTION, "stream": True}).strip().split("\n\n")
    assert len(events) > 5
    deltas = [json.loads(event.removeprefix("data: "))["delta"] for event in events[:-1]]
    name, data = events[-1].split("\n")
    assert name == "event: done"
    assert json.loads(data.removeprefix("data: "))["reply"] == "".join(deltas)


def test_the_python_client_holds_a_conversation(app: RunningApp) -> None:
    messages = [{"role": "user", "content": "Hello"}]
    first = send_chat_message(make_token(), messages, base_url=app.url, max_tokens=8)
    messages += [{"role": "assistant", "content": first}, {"role": "user", "content": "And then?"}]
    assert send_chat_message(make_token(), messages, base_url=app.url, max_tokens=8, temperature=0.2).strip()


def test_a_conversation_that_does_not_fit_is_said_to_be_too_long(app: RunningApp) -> None:
    answer = json.loads(curl(app, {"messages": [{"role": "user", "content": "word " * 20_000}]}))
    assert answer["error"]["code"] == "context_length_exceeded"
    assert answer["error"]["fault"] == "caller"


def test_the_page_streams_an_answer_and_then_another(app: RunningApp, browser: Browser) -> None:
    with visiting(browser, app) as visit:
        visit.sign_in()
        for turn, question in enumerate(("Once upon a time", "And then")):
            visit.ask(question)
            bot = visit.page.locator(".message.bot").nth(turn)
            expect(bot).to_have_text(re.compile(r"\w+"), timeout=60_000)
            expect(visit.page.locator("button.submit-button")).to_be_visible(timeout=60_000)
            assert "⚠️" not in bot.inner_text()
        assert visit.complaints == []
