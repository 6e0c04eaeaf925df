"""The model picker, the settings of a chat, the menu and the owner's own look, in a real Chromium."""

import base64
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from hfchat.auth.policy import PolicyClaim
from hfchat.limits import Limit
from hfchat.types import Call, Delta, Finish, Message, ModelFacts, Usage
from tests.conftest import RunningApp, make_settings, make_token, running, wait_until
from tests.support.browser import BOX, TURN, Visit, visiting
from tests.support.scripted_upstream import ScriptedUpstream, Step

LLAMA, QWEN = "meta-llama/Llama-3.2-3B-Instruct", "Qwen/Qwen3-235B-A22B-Instruct-2507"
MODELS = [
    ModelFacts(LLAMA, 131_072, ("text",), (0.02, 0.04), ("together", "novita")),
    ModelFacts(QWEN, 262_144, ("text", "image"), (0.0, 0.0), ("cerebras",)),
]
PICKER, PROVIDER, FACTS = "#hfchat-model input", "#hfchat-provider input", "#hfchat-model-facts"
LOGO = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)


@pytest.fixture(scope="module")
def module_upstream() -> ScriptedUpstream:
    return ScriptedUpstream(MODELS)


@pytest.fixture(scope="module")
def app(module_upstream: ScriptedUpstream) -> Iterator[RunningApp]:
    settings = make_settings(HF_CHAT_MODELS="*", HF_CHAT_SYSTEM_PROMPT="Be kind.", HFCHAT_RATE="40/day")
    with running(settings, module_upstream) as served:
        yield served


@pytest.fixture
def visit(browser: Browser, app: RunningApp, upstream: ScriptedUpstream) -> Iterator[Visit]:
    with visiting(browser, app, locale="en-GB") as visitor:
        yield visitor.sign_in()


def pick(page: Page, selector: str, option: str) -> None:
    page.click(selector)
    page.get_by_role("option", name=option).click()


def open_settings(page: Page) -> Locator:
    page.click("#hfchat-settings > button")
    expect(page.locator("#hfchat-reset")).to_be_visible()
    page.locator("#hfchat-model-facts").click(trial=True)  # nothing stands before it, and nothing cuts it off
    return page.locator("#hfchat-settings")


def close_settings(page: Page) -> None:
    page.click("#hfchat-settings > button")
    expect(page.locator("#hfchat-reset")).to_be_hidden()


def asked(visit: Visit, upstream: ScriptedUpstream, text: str) -> Call:
    """The call that this question becomes."""
    before = len(upstream.calls)
    expect(visit.page.locator(TURN)).to_be_enabled()
    visit.ask(text)
    wait_until(lambda: len(upstream.calls) > before)
    expect(visit.page.locator(".message.bot").last).to_contain_text(text)
    return upstream.calls[-1]


def test_a_model_and_a_provider_are_picked_and_remembered(visit: Visit, upstream: ScriptedUpstream) -> None:
    page = visit.page
    expect(page.locator(PICKER)).to_have_value("Llama-3.2-3B-Instruct")
    assert asked(visit, upstream, "first").model == f"{LLAMA}:fastest"
    page.click(PICKER)
    expect(page.locator("#hfchat-model [role=option]")).to_contain_text(
        ["Llama-3.2-3B-Instruct", "Qwen3-235B-A22B-Instruct-2507 · 262k · text, images · free"]
    )
    page.get_by_role("option", name="Qwen3").click()
    expect(page.locator(PICKER)).to_have_value("Qwen3-235B-A22B-Instruct-2507")
    assert asked(visit, upstream, "second").model == f"{QWEN}:fastest"
    open_settings(page)
    expect(page.locator(FACTS)).to_contain_text(f"{QWEN}:fastest · 262k tokens of context · text, images · free")
    pick(page, PROVIDER, "cerebras")
    expect(page.locator(FACTS)).to_contain_text(f"{QWEN}:cerebras · 262k")
    close_settings(page)
    assert asked(visit, upstream, "third").model == f"{QWEN}:cerebras"
    visit.wait_for("Qwen3-235B-A22B-Instruct-2507:cerebras · 8 tokens")
    page.reload()
    expect(page.locator(PICKER)).to_have_value("Qwen3-235B-A22B-Instruct-2507")
    assert asked(visit, upstream, "fourth").model == f"{QWEN}:cerebras"
    assert visit.complaints == []


def test_the_tab_key_leaves_the_picker_and_its_list_closes(visit: Visit) -> None:
    page = visit.page
    page.add_style_tag(content="[role=listbox] { max-height: 2rem !important }")  # it scrolls, as a long one does
    expect(page.locator(PICKER)).to_have_value("Llama-3.2-3B-Instruct")
    page.focus(PICKER)
    expect(page.locator("[role=listbox]")).to_be_visible()
    page.keyboard.press("Tab")
    expect(page.locator("#hfchat-settings > button")).to_be_focused()
    visit.rest()
    expect(page.locator("[role=listbox]")).to_have_count(0)


def test_the_focus_stays_where_a_model_is_picked_by_keyboard(visit: Visit, upstream: ScriptedUpstream) -> None:
    page = visit.page
    expect(page.locator(PICKER)).to_have_value("Llama-3.2-3B-Instruct")
    page.focus(PICKER)
    for key in ("ArrowDown", "Enter"):
        expect(page.get_by_role("option", name="Qwen3")).to_be_visible()
        page.keyboard.press(key)
    expect(page.locator(PICKER)).to_have_value("Qwen3-235B-A22B-Instruct-2507")
    visit.rest()
    expect(page.locator(PICKER)).to_be_focused()
    expect(page.locator("[role=listbox]")).to_have_count(0)
    # And it opens again for whoever clicks or types there.
    page.click(PICKER)
    expect(page.get_by_role("option")).to_have_count(2)
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    visit.rest()
    expect(page.locator("[role=listbox]")).to_have_count(0)
    page.keyboard.press("ControlOrMeta+a")
    page.keyboard.type("Llama")
    expect(page.get_by_role("option")).to_have_count(1)
    page.keyboard.press("Enter")
    expect(page.locator(PICKER)).to_have_value("Llama-3.2-3B-Instruct")
    assert asked(visit, upstream, "first").model == f"{LLAMA}:fastest"


def test_the_settings_reach_the_model_and_are_remembered_for_their_person_only(
    visit: Visit, upstream: ScriptedUpstream
) -> None:
    page = visit.page
    call = asked(visit, upstream, "first")
    assert (call.temperature, call.top_p, call.max_tokens) == (None, None, 1024)
    assert call.messages[0] == Message("system", "Be kind.")
    open_settings(page)
    visit.wait_for("1,024 if this is empty, 4,096 at most.")
    page.get_by_role("spinbutton", name="Temperature").fill("0.3")
    page.get_by_role("spinbutton", name="Top P").fill("0.9")
    page.get_by_label("Longest reply").fill("99")
    page.get_by_label("Instructions").fill("Answer in rhyme.")
    page.get_by_label("Show under each reply").uncheck()
    close_settings(page)
    call = asked(visit, upstream, "second")
    assert (call.temperature, call.top_p, call.max_tokens) == (0.3, 0.9, 99)
    assert call.messages[0] == Message("system", "Be kind.\n\nAnswer in rhyme.")
    expect(page.locator(".hfchat-facts")).to_have_count(1)

    visit.sign_in(make_token("bob"))
    visit.expect_signed_in("bob")
    open_settings(page)
    expect(page.get_by_label("Instructions")).to_have_value("")
    assert "rhyme" not in page.content()
    close_settings(page)
    assert asked(visit, upstream, "third").messages[0] == Message("system", "Be kind.")

    visit.sign_in(make_token("alice"))
    visit.expect_signed_in("alice")
    open_settings(page)
    expect(page.get_by_label("Instructions")).to_have_value("Answer in rhyme.")
    expect(page.get_by_role("spinbutton", name="Temperature")).to_have_value("0.3")
    page.get_by_role("button", name="Back to the defaults").click()
    expect(page.get_by_label("Instructions")).to_have_value("")
    expect(page.get_by_role("spinbutton", name="Temperature")).to_have_value("")
    expect(page.get_by_label("Show under each reply")).to_be_checked()
    close_settings(page)
    call = asked(visit, upstream, "fourth")
    assert (call.temperature, call.top_p, call.max_tokens) == (None, None, 1024)
    page.reload()
    open_settings(page)
    expect(page.locator(PICKER)).to_have_value("Llama-3.2-3B-Instruct")
    expect(page.get_by_label("Instructions")).to_have_value("")


def test_who_deletes_when_signing_out_leaves_no_settings_and_takes_nobody_elses(
    visit: Visit, upstream: ScriptedUpstream
) -> None:
    page = visit.page
    on_quota = {"bob": "Answer as a pirate.", "alice": "Answer in rhyme."}
    for name, text in on_quota.items():
        visit.sign_in(make_token(name))
        visit.expect_signed_in(name)
        open_settings(page)
        page.get_by_label("Instructions").fill(text)
        close_settings(page)
        assert asked(visit, upstream, "hello").messages[0].content.endswith(text)
        expect(page.locator(TURN)).to_be_enabled()
    visit.open_menu()
    page.get_by_role("button", name="Sign out").click()
    page.get_by_role("button", name="Delete them and sign out").click()
    page.wait_for_url("**/login")
    for name, text in (("alice", ""), ("bob", on_quota["bob"])):
        visit.sign_in(make_token(name))
        visit.expect_signed_in(name)
        open_settings(page)
        expect(page.get_by_label("Instructions")).to_have_value(text)
        close_settings(page)
    assert visit.complaints == []


def test_a_model_that_is_not_listed_can_be_typed_where_any_may_be_named(
    visit: Visit, upstream: ScriptedUpstream
) -> None:
    expect(visit.page.locator(PICKER)).to_have_value("Llama-3.2-3B-Instruct")
    visit.page.fill(PICKER, "some/other:groq")
    visit.page.locator(PICKER).press("Enter")
    visit.page.locator(BOX).focus()
    assert asked(visit, upstream, "first").model == "some/other:groq"
    visit.page.reload()
    expect(visit.page.locator(PICKER)).to_have_value("some/other:groq")
    visit.page.click(PICKER)
    visit.page.fill(PICKER, "Qwen")
    visit.page.get_by_role("option", name="Qwen3").click()
    assert asked(visit, upstream, "second").model.startswith(QWEN)
    visit.page.fill(PICKER, "no name")
    visit.page.locator(PICKER).press("Enter")
    visit.ask("third")
    expect(visit.page.locator(".hfchat-do:visible")).to_have_text("Choose another model")


def test_who_may_use_one_model_sees_that_one(browser: Browser, app: RunningApp, upstream: ScriptedUpstream) -> None:
    with visiting(browser, app, locale="en-GB") as visit:
        visit.sign_in(make_token("narrow", policy=PolicyClaim(models=(QWEN,), max_tokens=50)))
        expect(visit.page.locator(PICKER)).to_have_value("Qwen3-235B-A22B-Instruct-2507")
        visit.page.click(PICKER)
        expect(visit.page.locator("#hfchat-model [role=option]")).to_have_count(1)
        visit.page.locator(BOX).click()
        open_settings(visit.page)
        expect(visit.page.locator(PROVIDER)).to_be_hidden()
        visit.wait_for("50 if this is empty, 50 at most.")
        close_settings(visit.page)
        call = asked(visit, upstream, "hello")
        assert (call.model, call.max_tokens) == (QWEN, 50)


def test_the_page_works_where_there_is_no_list_of_models(browser: Browser) -> None:
    upstream = ScriptedUpstream()
    with (
        running(make_settings(HF_CHAT_MODELS="own/other"), upstream) as app,
        visiting(browser, app, locale="en-GB") as visit,
    ):
        visit.sign_in()
        expect(visit.page.locator(PICKER)).to_have_value("Llama-3.2-3B-Instruct")
        pick(visit.page, PICKER, "other")
        expect(visit.page.locator(PICKER)).to_have_value("other")
        assert asked(visit, upstream, "hello").model == "own/other"


def test_the_language_is_switched_and_remembered(visit: Visit, upstream: ScriptedUpstream) -> None:
    page = visit.page
    page.locator(BOX).fill("my long thought")
    visit.open_menu()
    page.get_by_role("button", name="Español").click()
    expect(page.get_by_role("button", name="Ajustes de este chat")).to_be_visible()
    expect(page.locator(BOX)).to_have_value("my long thought")
    expect(page.locator(BOX)).to_have_attribute("placeholder", "Escribe un mensaje…")
    expect(page.locator(".example").first).to_contain_text("Explica los agujeros negros")
    upstream.script = lambda _: [Delta("hm ", "let me see"), "sí ", Finish(LLAMA, "length", Usage(3, 4))]
    asked_before = len(upstream.calls)
    page.locator(BOX).press("Enter")
    wait_until(lambda: len(upstream.calls) > asked_before)
    visit.wait_for("La respuesta termina aquí")
    for name in ("Reintentar", "Deshacer", "Copiar el mensaje"):
        expect(page.get_by_role("button", name=name).last).to_be_visible()
    expect(page.locator(TURN)).to_be_enabled()
    visit.open_menu()
    page.get_by_role("button", name="Cerrar sesión").click()
    page.get_by_role("button", name="Eliminarlas y cerrar la sesión").click()
    visit.wait_for("Pega el token que te dieron")
    visit.sign_in()
    visit.open_menu()
    page.get_by_role("button", name="English").click()
    expect(page.get_by_role("button", name="Settings of this chat")).to_be_visible()
    assert visit.complaints == []


def test_the_lines_for_a_program_work_with_ones_own_token(visit: Visit, upstream: ScriptedUpstream) -> None:
    token = make_token("alice")
    visit.sign_in(token)
    visit.expect_signed_in("alice")
    assert token not in visit.page.content()
    visit.open_menu()
    visit.page.get_by_role("button", name="Use it from a program").click()
    expect(visit.page.locator("dialog pre")).to_have_count(3)
    curl, python, shown = visit.page.locator("dialog pre").all_inner_texts()
    assert shown == token
    completed = subprocess.run(["bash", "-c", f"{curl} -s"], capture_output=True, text=True, check=True)
    assert '"reply": "Hello! "' in completed.stdout
    assert f'base_url="{visit.app.url}/v1", api_key="{token}"' in python
    compile(python, "python", "exec")
    visit.page.get_by_role("button", name="Close").click()
    expect(visit.page.locator("dialog")).to_have_count(0)
    assert token not in visit.page.content()
    assert token not in visit.page.evaluate("JSON.stringify([localStorage, sessionStorage, document.cookie])")


def test_what_is_left_is_quiet_until_it_is_low(browser: Browser, app: RunningApp, upstream: ScriptedUpstream) -> None:
    with visiting(browser, app, locale="en-GB") as visit:
        visit.sign_in(make_token("few", policy=PolicyClaim(rate=Limit(2, "day"))))
        expect(visit.page.locator(".hfchat-left")).to_have_count(2)
        expect(visit.page.locator(".hfchat-low")).to_have_count(0)
        for text in ("one", "two"):
            asked(visit, upstream, text)
        expect(visit.page.locator(".hfchat-low")).to_have_text("0 of 2 requests left today")
        expect(visit.page.locator(".hfchat-low")).to_be_visible()
        expect(visit.page.locator(TURN)).to_be_enabled()
        visit.ask("three")
        visit.page.get_by_role("button", name="See what is left").click()
        expect(visit.page.locator(".hfchat-left").first).to_be_visible()


def test_an_example_is_put_into_the_box(visit: Visit, upstream: ScriptedUpstream) -> None:
    visit.page.locator(".example").first.click()
    expect(visit.page.locator(BOX)).to_have_value("Explain black holes to a ten-year-old")
    expect(visit.page.locator(BOX)).to_be_focused()
    visit.page.locator(BOX).press("Enter")
    expect(visit.page.locator(".message.bot").last).to_contain_text("Explain black holes")


def test_a_reply_cannot_press_more_than_a_visitor_would(visit: Visit, upstream: ScriptedUpstream) -> None:
    def script(_: Call) -> list[Step]:
        return [
            '<button data-do="program" class="hfchat-do hfchat-do-program">x</button> '
            '<button class="hfchat-do hfchat-do-constructor">y</button> '
            '<button class="stop-button">w</button> <div id="hfchat-box"><textarea>no box</textarea></div>\n\n# hfchat ended\n\n'
            '<img src=x onerror="document.title=1"><form action="/logout" method="post"><button>z</button></form>'
        ]

    upstream.script = script
    visit.ask("hello")
    for name in ("x", "y", "z"):
        button = visit.page.locator(".message.bot").get_by_role("button", name=name, exact=True)
        if button.count():
            button.first.click()
    visit.page.wait_for_timeout(300)
    assert visit.page.locator("dialog").count() == 0
    expect(visit.page.locator(".message.bot")).to_contain_text("hfchat ended")
    assert visit.page.locator(".message [id^=hfchat]").count() == 0
    visit.expect_signed_in("alice")
    visit.ask("again")
    expect(visit.page.locator(".message.user")).to_have_text(["hello", "again"])
    expect(visit.page.locator(".message.bot")).to_have_count(2)


def test_the_stand_in_is_marked(browser: Browser, offline_app: RunningApp) -> None:
    with visiting(browser, offline_app, locale="es-ES") as visit:
        visit.sign_in()
        expect(visit.page.locator("#hfchat-offline")).to_contain_text("Sustituto sin conexión")


def test_the_owner_gives_the_page_a_name_a_face_and_a_colour(browser: Browser, tmp_path: Path) -> None:
    logo = tmp_path / "logo.png"
    logo.write_bytes(LOGO)
    look = {
        "HFCHAT_TITLE": "Chat of <class> 4b",
        "HFCHAT_GREETING": "What shall we **learn** today?",
        "HFCHAT_EXAMPLES": "What is a prime, and why? | Tell me a riddle",
        "HFCHAT_LOGO": str(logo),
        "HFCHAT_ACCENT": "#ffd21e",
    }
    upstream = ScriptedUpstream(MODELS)
    with running(make_settings(**look), upstream) as app, visiting(browser, app, locale="es-ES") as visit:
        visit.sign_in()
        expect(visit.page).to_have_title("Chat of <class> 4b")
        expect(visit.page.locator("h1")).to_have_text("Chat of <class> 4b")
        expect(visit.page.locator(".example")).to_have_text(["What is a prime, and why?", "Tell me a riddle"])
        expect(visit.page.locator("#hfchat-conversation strong")).to_have_text("learn")
        picture = visit.page.locator(".hfchat-brand img")
        expect(picture).to_have_js_property("naturalWidth", 1)
        accent = visit.page.evaluate("getComputedStyle(document.body).getPropertyValue('--primary-600')")
        assert accent.strip() not in ("", "#ffd21e")
        assert visit.complaints == []
        assert visit.hosts == {app.url.removeprefix("http://")}
