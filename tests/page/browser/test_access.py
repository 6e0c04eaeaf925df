"""Whether everybody can use the page: by what axe-core finds, with the keyboard alone, read out, and with large text."""

import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from hfchat.errors import UpstreamOverloaded
from hfchat.types import Call, Delta, ModelFacts
from tests.conftest import RunningApp, in_ci, make_settings, running
from tests.support.browser import BOX, TURN, Visit, visiting
from tests.support.scripted_upstream import ScriptedUpstream, Step

FOLDER = Path(__file__).parents[2] / "support" / "axe"
ANSWER = "**bold** `code`\n\n```python\n# note\nprint('a', 1)\n```\n\n|a|b|\n|-|-|\n|1|2|\n\n[link](https://example.org) $x^2$"
WIDE = f"so:\n\n```python\nprint('{'long' * 60}')\n```\n\n|{'a column|' * 20}\n|{'-|' * 20}\n|{'a cell|' * 20}"
MODELS = [
    ModelFacts("meta-llama/Llama-3.2-3B-Instruct", 131_072, ("text",), (0.02, 0.04), ("together", "novita")),
    ModelFacts("Qwen/Qwen3-235B-A22B-Instruct-2507", 262_144, ("text", "image"), (0.0, 0.0), ("cerebras",)),
]
SERIOUS = """async () => (await axe.run(document, { resultTypes: ["violations"] })).violations
  .filter((found) => ["serious", "critical"].includes(found.impact))
  .map((found) => [found.id, ...found.nodes.map((node) => node.html.slice(0, 200))])"""


@pytest.fixture(scope="module")
def axe() -> str:
    """The script of axe-core, installed as package-lock.json names it where it is not yet."""
    if shutil.which("npm") is None and not in_ci():
        pytest.skip("npm is not installed (Debian: apt-get install nodejs npm)")
    script = FOLDER / "node_modules" / "axe-core" / "axe.min.js"
    if not script.exists():
        command = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--no-update-notifier"]
        subprocess.run(command, cwd=FOLDER, check=True, capture_output=True, timeout=300)
    return script.read_text("utf-8")


@pytest.fixture(scope="module")
def upstream() -> ScriptedUpstream:
    return ScriptedUpstream(MODELS)


@pytest.fixture(scope="module")
def app(upstream: ScriptedUpstream) -> Iterator[RunningApp]:
    with running(make_settings(HF_CHAT_MODELS="*", HFCHAT_ACCENT="#ffd21e"), upstream) as served:
        yield served


def script(call: Call) -> list[Step]:
    answers: dict[str, list[Step]] = {
        "fail": ["half ", UpstreamOverloaded()],
        "think": [Delta(reasoning="Hm."), WIDE],
    }
    return answers.get(call.messages[-1].content, [ANSWER])


LOOKS = {
    "light, wide, English": {"locale": "en-GB", "color_scheme": "light", "viewport": {"width": 1100, "height": 760}},
    "dark, narrow, Spanish": {"locale": "es-ES", "color_scheme": "dark", "viewport": {"width": 320, "height": 640}},
    "dark, wide, Spanish": {"locale": "es-ES", "color_scheme": "dark", "viewport": {"width": 1100, "height": 760}},
    "light, narrow, English": {"locale": "en-GB", "color_scheme": "light", "viewport": {"width": 320, "height": 640}},
}


@pytest.mark.parametrize("look", LOOKS.values(), ids=LOOKS)
def test_nothing_serious_is_found_anywhere_on_the_page(
    browser: Browser, app: RunningApp, upstream: ScriptedUpstream, axe: str, look: dict[str, object]
) -> None:
    upstream.script = script
    found: dict[str, list[list[str]]] = {}
    with visiting(browser, app, **look) as visit:

        def check(where: str) -> None:
            visit.page.evaluate(axe)
            for _ in range(5):
                found[where] = visit.page.evaluate(SERIOUS)
                if not found[where]:
                    break
                visit.page.wait_for_timeout(300)  # what is half faded in has half its contrast
            narrow = visit.page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
            assert narrow, where

        visit.page.goto(app.url)
        check("sign-in")
        visit.sign_in()
        expect(visit.page.locator("#hfchat-model input")).to_have_value("Llama-3.2-3B-Instruct")
        expect(visit.page.locator(".example")).to_have_count(3)
        check("at first")
        visit.page.click("#hfchat-settings > button")
        expect(visit.page.locator("#hfchat-reset")).to_be_visible()
        check("settings")
        visit.page.click("#hfchat-settings > button")
        visit.page.click("#hfchat-model input")
        expect(visit.page.locator("#hfchat-model [role=option]")).to_have_count(2)
        check("picker")
        visit.page.keyboard.press("Escape")
        for asked in ("hello", "think", "fail"):
            visit.ask(asked)
            expect(visit.page.locator(".message.user").last).to_contain_text(asked)
            expect(visit.page.locator(TURN)).to_be_enabled()
        expect(visit.page.locator(".hfchat-do")).to_have_count(3)
        expect(visit.page.locator("pre[tabindex], table[tabindex]")).to_have_count(2)
        check("answered, and failed")
        visit.open_menu()
        check("menu")
        visit.page.click("[data-do=program]")
        expect(visit.page.locator("dialog pre")).to_have_count(3)
        check("program")
        assert visit.complaints == []
        assert visit.hosts == {app.url.removeprefix("http://")}
    assert {where: faults for where, faults in found.items() if faults} == {}


def tab_to(visit: Visit, selector: str) -> None:
    for _ in range(40):
        if visit.page.evaluate("(wanted) => document.activeElement.matches(wanted)", selector):
            return
        visit.page.keyboard.press("Tab")
    raise AssertionError(f"{selector} is not reached by the keyboard")


def test_all_of_it_can_be_done_with_the_keyboard_alone(
    browser: Browser, app: RunningApp, upstream: ScriptedUpstream
) -> None:
    upstream.script = script
    with visiting(browser, app, locale="en-GB") as visit:
        visit.sign_in()
        expect(visit.page.locator(BOX)).to_be_focused()
        visit.page.keyboard.type("fail")
        visit.page.keyboard.press("Enter")
        expect(visit.page.locator(".hfchat-do").first).to_be_visible()
        expect(visit.page.locator(BOX)).to_be_focused()
        upstream.script = lambda _: ["good"]
        visit.page.locator("#hfchat-conversation").evaluate("(found) => { found.tabIndex = -1; found.focus(); }")
        tab_to(visit, ".hfchat-do-retry")
        visit.page.keyboard.press("Enter")
        expect(visit.page.locator("#hfchat-conversation")).to_contain_text("good")
        expect(visit.page.locator(BOX)).to_be_focused()
        visit.page.evaluate("document.body.tabIndex = -1; document.body.focus()")
        tab_to(visit, ".hfchat-menu summary")
        visit.page.keyboard.press("Enter")
        tab_to(visit, "[data-do=program]")
        visit.page.keyboard.press("Enter")
        expect(visit.page.locator("dialog")).to_be_visible()
        visit.page.keyboard.press("Escape")
        expect(visit.page.locator("dialog")).to_have_count(0)
        expect(visit.page.locator(".hfchat-menu summary")).to_be_focused()
        visit.page.keyboard.press("Escape")
        expect(visit.page.locator(".hfchat-menu")).not_to_have_attribute("open", "")


def test_an_answer_is_read_out_and_buttons_have_names(
    browser: Browser, app: RunningApp, upstream: ScriptedUpstream
) -> None:
    upstream.script = lambda _: ["so far ", 60]
    with visiting(browser, app, locale="es-ES") as visit:
        visit.sign_in()
        log = visit.page.get_by_role("log", name="Conversación")
        expect(log).to_have_attribute("aria-live", "polite")
        expect(visit.page.get_by_role("button", name="Enviar")).to_be_visible()
        visit.ask("hola")
        expect(log).to_contain_text("so far")
        visit.page.get_by_role("button", name="Detener").click()
        expect(visit.page.get_by_role("button", name="Enviar")).to_be_visible()
        expect(visit.page.get_by_role("button", name="Copiar el mensaje").first).to_be_visible()
        expect(visit.page.locator("html")).to_have_attribute("lang", "es")


def test_text_of_twice_the_size_is_all_there(browser: Browser, app: RunningApp, upstream: ScriptedUpstream) -> None:
    upstream.script = script
    for locale, width in (("en-GB", 1100), ("es-ES", 640), ("es-ES", 320)):
        with visiting(browser, app, locale=locale, viewport={"width": width, "height": 900}) as visit:
            visit.sign_in()
            visit.page.add_style_tag(content="html { font-size: 200% !important }")
            visit.ask("fail")
            expect(visit.page.locator(".hfchat-do").first).to_be_visible()
            cut = visit.page.evaluate(
                """() => [...document.querySelectorAll("#hfchat-header *, #hfchat-settings *, .message *")]
                .filter((found) => found.children.length === 0 && found.getClientRects().length)
                .filter((found) => !found.closest(".sr-only") && found.textContent.trim())
                .filter((found) => found.scrollWidth > found.clientWidth + 1 && getComputedStyle(found).display !== "inline")
                .map((found) => found.outerHTML)"""
            )
            assert cut == []
            assert visit.page.evaluate("document.documentElement.scrollWidth") <= width


@pytest.mark.parametrize("width", [320, 390, 1100])
def test_a_long_name_of_a_model_can_be_read_and_heard(
    browser: Browser, upstream: ScriptedUpstream, app: RunningApp, width: int
) -> None:
    long = "deepseek-ai/DeepSeek-R1-Distill-Qwen-32B-Instruct-Extended-2507"
    upstream.script = script
    with visiting(browser, app, locale="en-GB", viewport={"width": width, "height": 640}) as visit:
        page = visit.sign_in().page
        picker = page.get_by_role("combobox", name="Model")
        expect(picker).to_have_value("Llama-3.2-3B-Instruct")
        expect(page.locator("#hfchat-model-whole")).to_be_hidden()
        picker.fill(long)
        picker.press("Enter")
        page.locator(BOX).focus()
        whole = page.locator("#hfchat-model-whole")
        expect(whole).to_have_text(long)
        expect(whole).to_be_visible()
        box = whole.bounding_box()
        assert box
        assert box["x"] + box["width"] <= width
        assert whole.evaluate("(found) => found.scrollWidth <= found.clientWidth")
        assert f'combobox "Model": {long}' in page.locator("#hfchat-header").aria_snapshot()
        picker.click()
        expect(whole).to_be_visible()
        expect(page.get_by_role("option")).not_to_have_count(0)
        page.keyboard.press("ArrowDown")
        assert 'combobox "Model" [expanded]' in page.locator("#hfchat-header").aria_snapshot()
        expect(picker).to_have_attribute("aria-activedescendant", re.compile(".+"))
        active = picker.get_attribute("aria-activedescendant")
        expect(page.locator(f"#{active}")).to_have_role("option")


def test_nothing_of_gradios_lies_over_the_text(browser: Browser, app: RunningApp, upstream: ScriptedUpstream) -> None:
    upstream.script = lambda _: ["word " * 900]
    for width in (320, 1100):
        with visiting(browser, app, locale="en-GB", viewport={"width": width, "height": 640}) as visit:
            visit.sign_in().ask("a question that is as wide as the phone is, and wider than that")
            expect(visit.page.locator(".message.bot")).to_contain_text("word word")
            expect(visit.page.locator(TURN)).to_be_enabled()
            expect(visit.page.get_by_role("button", name="Clear")).to_be_hidden()
            visit.page.get_by_role("button", name="New chat").click(trial=True)
            above = visit.page.locator("#hfchat-header").bounding_box()
            text = visit.page.locator("#hfchat-conversation .bubble-wrap").bounding_box()
            assert above
            assert text
            assert above["y"] + above["height"] <= text["y"]
            assert text["y"] + text["height"] <= 640
            visit.page.click("#hfchat-settings > button")
            visit.page.locator("#hfchat-reset").click(trial=True)
            assert visit.page.evaluate("document.documentElement.scrollHeight") <= 640
