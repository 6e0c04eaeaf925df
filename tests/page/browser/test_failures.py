"""Failure is part of the page: every error of the catalogue has its words there, and a button for what helps."""

from collections.abc import Iterator

import pytest
from gradio_client import Client
from playwright.sync_api import Browser, expect

from hfchat.auth.policy import PolicyClaim
from hfchat.chat import retries
from hfchat.errors import (
    HfchatError,
    ModelLoading,
    ModelNotSupported,
    UpstreamInterrupted,
    UpstreamOverloaded,
    catalogue,
)
from hfchat.http.error_response import say
from hfchat.i18n.language import Language
from hfchat.i18n.sentences import CHAT
from hfchat.page import reply_view
from hfchat.page.notices import notice
from hfchat.types import Call, Delta, Finish, Usage
from tests.conftest import RunningApp, make_settings, make_token, running
from tests.support.browser import BOX, TURN, Visit, visiting
from tests.support.rows import each_row
from tests.support.scripted_upstream import ScriptedUpstream, Step, echoed

MODEL, OTHER = "meta-llama/Llama-3.2-3B-Instruct:fastest", "own/other"


@pytest.fixture(scope="module")
def module_upstream() -> ScriptedUpstream:
    return ScriptedUpstream()


@pytest.fixture(scope="module")
def app(module_upstream: ScriptedUpstream) -> Iterator[RunningApp]:
    settings = make_settings(HF_CHAT_MODELS="own/third", HF_CHAT_FALLBACK_MODELS=OTHER)
    with pytest.MonkeyPatch.context() as patch, running(settings, module_upstream) as served:
        # What failed in one test is asked first in the next, too.
        patch.setattr(retries, "MAX_REST_S", 0.0)
        yield served


def failing(code: str) -> HfchatError:
    error = catalogue()[code](retry_after_s=7)
    error.model = MODEL
    return error


@each_row("language", ["en", "es"])
@each_row("code", catalogue())
def test_every_error_has_words_and_a_button(code: str, language: Language) -> None:
    for to_owner in (False, True):
        said = notice(failing(code), language, "abc", to_owner)["content"]
        message, hint = say(failing(code), language, to_owner=to_owner)
        assert message in said
        assert hint in said or code == "invalid_request"
        assert "/docs" not in said or code in ("not_found", "method_not_allowed")
        assert 'class="hfchat-do' in said
        assert "{" not in said
        assert "abc" in said


def test_every_error_of_the_catalogue_is_shown_on_the_page_with_the_question_and_what_came(
    browser: Browser, app: RunningApp, upstream: ScriptedUpstream
) -> None:
    """One conversation, in which everything fails once; in the end a good question is sent alone."""

    def script(call: Call) -> list[Step]:
        code = call.messages[-1].content
        return [f"half of {code} ", failing(code)] if code in catalogue() else ["fine"]

    upstream.script = script
    with visiting(browser, app, locale="es-ES", viewport={"width": 320, "height": 640}) as visit:
        visit.sign_in()
        for code in catalogue():
            visit.ask(code)
            last = visit.page.locator(".message.bot").last
            expect(last).to_contain_text(f"half of {code}")
            message, _ = say(failing(code), "es")
            expect(last).to_contain_text(message.replace("`", ""))
            expect(last.locator(".hfchat-do").first).to_be_visible()
            expect(visit.page.locator(".message.user").last).to_have_text(code)
            expect(visit.page.locator(TURN)).to_be_enabled()
        assert visit.page.evaluate("document.documentElement.scrollWidth") <= 320
        visit.ask("hola")
        expect(visit.page.locator(".message.bot").last).to_contain_text("fine")
        assert [message.content for message in upstream.calls[-1].messages] == ["hola"]
        assert visit.complaints == []


@pytest.fixture
def visit(browser: Browser, app: RunningApp, upstream: ScriptedUpstream) -> Iterator[Visit]:
    with visiting(browser, app, locale="en-GB") as visitor:
        yield visitor.sign_in()


def test_try_again_asks_again(visit: Visit, upstream: ScriptedUpstream) -> None:
    upstream.script = lambda _: ["half ", UpstreamInterrupted()]
    visit.ask("a question")
    expect(visit.page.get_by_role("button", name="Try again")).to_be_visible()
    upstream.script = lambda _: ["whole answer"]
    visit.page.get_by_role("button", name="Try again").click()
    expect(visit.page.locator("#hfchat-conversation")).to_contain_text("whole answer")
    expect(visit.page.locator(".message.user")).to_have_text("a question")
    expect(visit.page.locator(".hfchat-do")).to_have_count(0)


def test_another_model_opens_the_picker(visit: Visit, upstream: ScriptedUpstream) -> None:
    upstream.script = lambda _: [ModelNotSupported(model=MODEL)]
    visit.ask("a question")
    visit.page.get_by_role("button", name="Choose another model").click()
    expect(visit.page.locator("#hfchat-model input")).to_be_focused()
    expect(visit.page.locator("#hfchat-model [role=option]")).to_have_count(2)
    expect(visit.page.get_by_role("link", name="Enable a provider")).to_have_count(0)


def test_the_owner_is_led_to_where_a_provider_is_enabled(
    browser: Browser, app: RunningApp, upstream: ScriptedUpstream
) -> None:
    upstream.script = lambda _: [ModelNotSupported(model=MODEL)]
    with visiting(browser, app, locale="en-GB") as visit:
        visit.sign_in(make_token("owner", scopes=("chat", "admin"))).ask("a question")
        link = visit.page.get_by_role("link", name="Enable a provider")
        expect(link).to_have_attribute("href", "https://hf.co/settings/inference-providers")
        expect(link).to_have_attribute("target", "_blank")


@pytest.mark.whole
def test_a_forged_model_is_refused_as_the_api_does(app: RunningApp, upstream: ScriptedUpstream) -> None:
    token = make_token("narrow", policy=PolicyClaim(models=("own/third",)))
    narrow = {"Authorization": f"Bearer {token}"}
    client = Client(app.url, headers=narrow, verbose=False, analytics_enabled=False)
    for forged in ({"model": OTHER}, {"model": "own/third", "provider": "x"}, {"model": "http://127.0.0.1:9/v1"}):
        (said,) = client.predict("a question", **forged, api_name="/chat")
        assert "is not offered here" in said["content"] or "it is not a model's id" in said["content"]
    assert client.predict("a question", model="own/third", api_name="/chat") == "a question "
    client.close()
    assert [call.model for call in upstream.calls] == ["own/third"]


def test_a_setting_out_of_bounds_is_named_and_the_settings_open(visit: Visit, upstream: ScriptedUpstream) -> None:
    visit.page.click("#hfchat-settings > button")
    visit.wait_for("1,024 if this is empty, 4,096 at most.")
    visit.rest()
    visit.page.get_by_role("spinbutton", name="Temperature").fill("3")
    visit.page.click("#hfchat-settings > button")
    expect(visit.page.locator("#hfchat-reset")).to_be_hidden()
    visit.ask("a question")
    visit.wait_for("temperature: it must be at most 2.")
    assert upstream.calls == []
    visit.page.get_by_role("button", name="Open the settings").click()
    expect(visit.page.get_by_role("spinbutton", name="Temperature")).to_be_visible()


def test_another_model_that_answers_says_so(visit: Visit, upstream: ScriptedUpstream) -> None:
    def script(call: Call) -> list[Step]:
        if call.model == MODEL:
            return [UpstreamOverloaded()]
        return [4, Delta("from the other"), Finish(OTHER, usage=Usage(30, 12, estimated=True), provider="groq")]

    upstream.script = script
    visit.ask("a question")
    visit.wait_for("Llama-3.2-3B-Instruct:fastest does not answer: trying other")
    visit.wait_for("Llama-3.2-3B-Instruct:fastest did not answer. This reply is from other.")
    visit.wait_for("other, by groq · about 42 tokens")
    upstream.script = echoed
    expect(visit.page.locator(TURN)).to_be_enabled()
    visit.ask("more")
    expect(visit.page.locator(".message.bot").last).to_contain_text("more")
    assert [message.content for message in upstream.calls[-1].messages] == ["a question", "from the other", "more"]


def test_a_long_silence_says_what_is_waited_for(
    visit: Visit, upstream: ScriptedUpstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reply_view, "QUIET_S", 0.5)
    monkeypatch.setattr(reply_view, "LONG_S", 2.0)
    upstream.script = lambda _: [4, "at last"]
    visit.ask("a question")
    visit.wait_for("Waiting for Llama-3.2-3B-Instruct:fastest…")
    visit.wait_for("it may be loading")
    visit.wait_for("at last")
    expect(visit.page.locator("#hfchat-conversation")).not_to_contain_text("it may be loading")
    upstream.script = lambda _: [30]
    expect(visit.page.locator(TURN)).to_be_enabled()
    visit.ask("never answered")
    visit.wait_for("it may be loading")
    visit.page.get_by_role("button", name="Stop").click()
    expect(visit.page.locator(TURN)).to_be_enabled()
    upstream.script = echoed
    visit.ask("more")
    expect(visit.page.locator(".message.bot").last).to_contain_text("more")
    assert [message.content for message in upstream.calls[-1].messages] == ["a question", "at last", "more"]


def test_the_buttons_of_an_earlier_failure_are_gone_they_would_act_on_the_last_turn(
    visit: Visit, upstream: ScriptedUpstream
) -> None:
    upstream.script = lambda _: [ModelLoading(model=MODEL)]
    visit.ask("a question")
    again = visit.page.get_by_role("button", name="Try again")
    expect(again).to_be_visible()
    expect(visit.page.locator(TURN)).to_be_enabled()
    upstream.script = echoed
    visit.ask("another one")
    expect(visit.page.locator(".message.bot").last).to_contain_text("another one")
    expect(again).to_have_count(0)
    expect(visit.page.locator(".message.bot").first).to_contain_text("is still loading")


STOPPED = CHAT["en"]["stopped"]


@pytest.mark.parametrize("thought", [[], [Delta("", "hm")]], ids=["silent", "thinking"])
def test_a_turn_stopped_before_its_first_word_says_so_at_once_and_helps(
    visit: Visit, upstream: ScriptedUpstream, monkeypatch: pytest.MonkeyPatch, thought: list[Step]
) -> None:
    monkeypatch.setattr(reply_view, "QUIET_S", 0.1)
    page, bot = visit.page, visit.page.locator(".message.bot")
    visit.ask("good one")
    expect(bot).to_contain_text("good one")
    for asked, act in ((1, "Try again"), (2, "Back to the question")):
        upstream.script = lambda _: [*thought, 60]
        expect(page.locator(TURN)).to_be_enabled()
        visit.ask("never answered")
        visit.wait_for("Thinking…" if thought else "Waiting for")
        page.get_by_role("button", name="Stop").click()
        expect(bot.last).to_contain_text(STOPPED)
        assert "Thinking" not in page.inner_text("#hfchat-conversation")
        assert "Waiting" not in page.inner_text("#hfchat-conversation")
        expect(page.locator(TURN)).to_be_enabled()
        expect(page.locator(".message.user")).to_have_text(["good one", *["never answered"] * asked])
        upstream.script = echoed
        page.get_by_role("button", name=act).click()
        if act == "Try again":
            expect(bot.last).to_contain_text("never answered")
            expect(page.locator("body")).not_to_contain_text(STOPPED)
    expect(page.locator(BOX)).to_have_value("never answered")
    expect(page.locator(".message.user")).to_have_text(["good one", "never answered"])
    visit.ask("more")
    expect(bot.last).to_contain_text("more")
    said = [message.content.removesuffix(" ") for message in upstream.calls[-1].messages]
    assert said == ["good one", "good one", "never answered", "never answered", "more"]


def test_a_session_that_ended_leads_to_the_sign_in_page(visit: Visit, upstream: ScriptedUpstream) -> None:
    upstream.script = lambda _: [catalogue()["revoked_token"]()]
    visit.ask("a question")
    expect(visit.page.get_by_role("link", name="Sign in again")).to_have_attribute("href", "/login")


def test_a_model_that_loads_is_tried_again_by_a_button_too(visit: Visit, upstream: ScriptedUpstream) -> None:
    upstream.script = lambda _: [ModelLoading(model=MODEL)]
    visit.ask("a question")
    visit.wait_for("is still loading")
    for name in ("Try again", "Choose another model"):
        expect(visit.page.get_by_role("button", name=name)).to_be_visible()
