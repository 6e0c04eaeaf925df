"""How the page looks, and what its menu and keys do, in a real Chromium."""

import re
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.conftest import RunningApp
from tests.support.browser import BOX, TURN, Visit, visiting
from tests.support.stub_upstream import StubUpstream, reply

DARK = "document.body.classList.contains('dark')"
PHONE: dict[str, Any] = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True}
BARS = (
    "#hfchat-history-bar button, .hfchat-brand h1, #hfchat-model input, #hfchat-settings > button, .hfchat-menu summary"
)


def choose(visit: Visit, theme: str) -> None:
    visit.open_menu()
    visit.page.get_by_role("button", name=theme, exact=True).click()
    expect(visit.page.get_by_role("button", name=theme, exact=True)).to_have_attribute("aria-pressed", "true")
    visit.page.keyboard.press("Escape")


def background(page: Page) -> str:
    return str(page.evaluate("getComputedStyle(document.body).backgroundColor"))


def test_light_or_dark_is_chosen_by_hand_and_kept(browser: Browser, app: RunningApp) -> None:
    with visiting(browser, app, locale="en-GB", color_scheme="light") as visit:
        page = visit.sign_in().page
        light = background(page)
        choose(visit, "Dark")
        assert page.evaluate(DARK)
        dark = background(page)
        assert dark != light
        page.emulate_media(color_scheme="dark")
        page.emulate_media(color_scheme="light")
        page.reload(wait_until="commit")
        # From the first paint on, before any module has run.
        page.wait_for_selector("body", state="attached")
        assert background(page) == dark
        page.wait_for_selector(BOX)
        visit.rest()
        assert page.evaluate(DARK)
        choose(visit, "System")
        assert not page.evaluate(DARK)
        page.emulate_media(color_scheme="dark")
        expect(page.locator("body.dark")).to_have_count(1)
        assert visit.complaints == []


def test_gradios_own_parameter_goes_first_until_something_is_chosen(browser: Browser, app: RunningApp) -> None:
    with visiting(browser, app, locale="en-GB", color_scheme="light") as visit:
        page = visit.sign_in().page
        page.goto(f"{app.url}/?__theme=dark")
        page.wait_for_selector(BOX)
        expect(page.locator(".hfchat-menu summary")).to_be_visible()
        assert page.evaluate(DARK)
        choose(visit, "Light")
        assert "__theme" not in page.url
        assert not page.evaluate(DARK)


def test_what_is_dark_on_the_screen_is_printed_black_on_white_and_over_the_whole_width(
    browser: Browser, app: RunningApp, stub: StubUpstream
) -> None:
    stub.answer = lambda _: reply(["words"])
    with visiting(browser, app, locale="en-GB", color_scheme="dark", viewport={"width": 1280, "height": 800}) as visit:
        page = visit.sign_in().page
        visit.ask("hello")
        visit.wait_for("words")
        expect(page.locator(TURN)).to_be_enabled()
        said = page.locator(".message.bot p").first
        colour = "(words) => Math.max(...getComputedStyle(words).color.match(/\\d+/g).slice(0, 3).map(Number))"
        assert said.evaluate(colour) > 200
        page.emulate_media(media="print", color_scheme="dark")
        expect(page.locator("body.dark")).to_have_count(0)
        assert said.evaluate(colour) < 100
        assert page.evaluate("getComputedStyle(document.querySelector('gradio-app')).paddingInlineStart") == "0px"
        page.emulate_media(media="screen", color_scheme="dark")
        expect(page.locator("body.dark")).to_have_count(1)


def test_a_list_in_a_list_has_letters_of_the_same_size(browser: Browser, app: RunningApp, stub: StubUpstream) -> None:
    stub.answer = lambda _: reply(["- a\n  - b\n    1. c"])
    with visiting(browser, app, locale="en-GB") as visit:
        page = visit.sign_in().page
        visit.ask("a list")
        expect(page.locator(".message.bot li")).to_have_count(3)
        sizes = "(items) => items.map((item) => getComputedStyle(item).fontSize)"
        assert set(page.locator(".message.bot li").evaluate_all(sizes)) == {"16px"}


@pytest.mark.parametrize("options", [PHONE, {"viewport": {"width": 900, "height": 700}}], ids=["phone", "desk"])
def test_the_header_is_one_row(browser: Browser, app: RunningApp, options: dict[str, Any]) -> None:
    with visiting(browser, app, locale="en-GB", **options) as visit:
        page = visit.sign_in().page
        visit.rest()
        header = page.locator("#hfchat-header").bounding_box()
        assert header
        assert header["height"] <= 68
        boxes = [found.bounding_box() for found in page.locator(BARS).all()]
        assert len(boxes) == 6
        for box in boxes:
            assert box
            assert header["y"] <= box["y"] < box["y"] + box["height"] <= header["y"] + header["height"] + 1
            assert header["x"] - 1 <= box["x"] < box["x"] + box["width"] <= header["x"] + header["width"] + 1


def test_what_is_touched_on_a_phone_is_large_enough(browser: Browser, app: RunningApp) -> None:
    with visiting(browser, app, locale="en-GB", **PHONE) as visit:
        page = visit.sign_in().page
        page.fill(BOX, "hello")
        page.locator(".submit-button").tap()
        expect(page.locator(TURN)).to_be_enabled()
        visit.rest()
        visit.open_menu()
        small = page.evaluate(
            """() => [...document.querySelectorAll("button, summary, select")]
              .filter((found) => found.checkVisibility() && !found.closest(".mermaid, pre, #hfchat-history"))
              .map((found) => [found, found.getBoundingClientRect()])
              .filter(([, { width, height }]) => width && Math.min(width, height) < 44)
              .map(([found, { width, height }]) => `${found.outerHTML.slice(0, 120)} ${width} ${height}`)"""
        )
        assert small == []


def test_text_is_held_to_a_column_on_a_wide_screen(browser: Browser, app: RunningApp) -> None:
    with visiting(browser, app, locale="en-GB", viewport={"width": 1920, "height": 1000}) as visit:
        page = visit.sign_in().page
        visit.ask("word " * 200)
        expect(page.locator(".message.bot").first).to_contain_text("word word")
        expect(page.locator(TURN)).to_be_enabled()
        reply, box = (
            page.locator(one).first.bounding_box() for one in (".message.bot .message-content", "#hfchat-box")
        )
        assert reply
        assert box
        assert 600 < reply["width"] <= 46 * 16
        assert box["width"] <= 46 * 16
        assert abs(reply["x"] - box["x"]) <= 2


def test_the_question_before_comes_back_by_arrow_up(browser: Browser, app: RunningApp) -> None:
    with visiting(browser, app, locale="en-GB") as visit:
        page, box = visit.sign_in().page, visit.page.locator(BOX)
        for text in ("first", "second"):
            visit.ask(text)
            expect(page.locator(".message.bot").last).to_contain_text(text)
            expect(page.locator(TURN)).to_be_enabled()
        expect(page.locator("#hfchat-history .title")).to_have_text("first")
        visit.rest()
        box.focus()
        for key, text in (("ArrowUp", "second"), ("ArrowUp", "first"), ("ArrowDown", "second"), ("ArrowDown", "")):
            page.keyboard.press(key)
            expect(box).to_have_value(text)
        page.keyboard.press("ArrowUp")
        page.keyboard.type(" more")
        page.keyboard.press("ArrowUp")
        expect(box).to_have_value("second more")


def test_a_conversation_is_copied_as_markdown_and_printed_from_the_menu(browser: Browser, app: RunningApp) -> None:
    with visiting(browser, app, locale="en-GB", permissions=["clipboard-read", "clipboard-write"]) as visit:
        page = visit.sign_in().page
        page.evaluate("void (window.print = () => { window.printed = document.querySelector('.hfchat-menu').open; })")
        visit.open_menu()
        copy = page.locator("[data-do=copy_conversation]")
        expect(copy).to_be_disabled()
        expect(page.locator("[data-do=print]")).to_be_disabled()
        page.keyboard.press("Escape")
        visit.ask("a **bold** question")
        expect(page.locator(".message.bot").last).to_contain_text("question")
        expect(page.locator(TURN)).to_be_enabled()
        # The title is plain text.
        expect(page.locator("#hfchat-history .title")).to_have_text("a bold question")
        visit.rest()
        visit.open_menu()
        copy.click()
        expect(copy).to_have_text("Copied")
        copied = page.evaluate("navigator.clipboard.readText()")
        assert re.match(
            r"# a bold question\n\n\d{4}-\d\d-\d\d\n\n## You\n\na \*\*bold\*\* question\n\n## Assistant\n\n", copied
        )
        page.locator("[data-do=print]").click()
        assert page.evaluate("window.printed") is False


def test_a_slider_sets_its_number_and_leads_back_to_the_models_default(browser: Browser, app: RunningApp) -> None:
    with visiting(browser, app, locale="en-GB") as visit:
        page = visit.sign_in().page
        visit.rest()
        page.click("#hfchat-settings > button")
        slider, number = (page.get_by_role(role, name="Temperature") for role in ("slider", "spinbutton"))
        back = page.locator("#hfchat-temperature .hfchat-default")
        expect(number).to_have_value("")
        expect(slider).to_have_attribute("aria-valuetext", "Model's default")
        slider.focus()
        page.keyboard.press("ArrowRight")
        expect(number).to_have_value("1.1")
        number.fill("0.3")
        expect(slider).to_have_value("0.3")
        page.keyboard.press("Tab")
        visit.rest()
        page.reload()
        page.wait_for_selector(BOX)
        visit.rest()
        page.click("#hfchat-settings > button")
        expect(number).to_have_value("0.3")
        expect(slider).to_have_value("0.3")
        back.click()
        expect(number).to_have_value("")
        expect(back).to_be_disabled()
        page.keyboard.press("Escape")
        expect(page.locator("#hfchat-reset")).to_be_hidden()
        assert visit.complaints == []


def test_the_browser_is_asked_to_keep_conversations_once_there_is_one(browser: Browser, app: RunningApp) -> None:
    with visiting(browser, app, locale="en-GB") as visit:
        visit.page.add_init_script(
            """window.asked = 0; navigator.storage.persist = async () => {
              asked += 1; navigator.storage.persisted = async () => true; return true; }"""
        )
        page = visit.sign_in().page
        note = page.locator("#hfchat-history .note")
        expect(note).to_contain_text("It may delete them when its disk is full. A private window")
        assert page.evaluate("asked") == 0
        visit.ask("hello")
        expect(note).to_have_text("Kept in this browser only.")
        assert page.evaluate("asked") == 1
