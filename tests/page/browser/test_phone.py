"""What the keys of a phone do, and of an input method, in a real Chromium; and the size of what is written."""

from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.conftest import RunningApp
from tests.support.browser import BOX, TURN, visiting
from tests.support.stub_upstream import StubUpstream

PHONE: dict[str, Any] = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True}
DESK: dict[str, Any] = {"viewport": {"width": 1100, "height": 700}}
PRESS = """([selector, name, init]) => document.querySelector(selector)
  .dispatchEvent(new KeyboardEvent(name, { key: "Enter", bubbles: true, cancelable: true, ...init }))"""
# An Enter that chooses a word: of most browsers, and of those that say it by the number only.
COMPOSING = [{"isComposing": True, "keyCode": 229}, {"isComposing": False, "keyCode": 229}]


def compose(page: Page, selector: str) -> None:
    for init in COMPOSING:
        page.evaluate(PRESS, [selector, "keydown", init])


@pytest.mark.parametrize("options", [PHONE, DESK], ids=["phone", "desk"])
def test_enter_begins_a_line_where_there_is_no_keyboard(
    browser: Browser, app: RunningApp, stub: StubUpstream, options: dict[str, Any]
) -> None:
    phone = options is PHONE
    with visiting(browser, app, **options) as visit:
        page, box = visit.sign_in().page, visit.page.locator(BOX)
        expect(page.locator(TURN)).to_be_enabled()
        expect(box).to_have_attribute("enterkeyhint", "enter" if phone else "send")
        box.fill("one")
        compose(page, BOX)
        expect(box).to_have_value("one")
        page.keyboard.press("Shift+Enter" if not phone else "Enter")
        page.keyboard.type("two")
        expect(box).to_have_value("one\ntwo")
        assert stub.requests == []
        if phone:
            page.locator(".submit-button").tap()
        else:
            page.keyboard.press("Enter")
        expect(page.locator(".message.bot").first).to_contain_text("two")
        assert visit.complaints == []


def test_no_field_of_a_phone_is_smaller_than_the_browser_zooms_in_at(browser: Browser, app: RunningApp) -> None:
    with visiting(browser, app, **PHONE) as visit:
        page = visit.page
        sizes = """() => [...document.querySelectorAll("input, textarea, select")]
          .filter(({ type }) => !["checkbox", "file", "hidden"].includes(type))
          .map((field) => parseFloat(getComputedStyle(field).fontSize))"""
        page.goto(f"{app.url}/login")
        assert min(page.evaluate(sizes)) >= 16
        visit.sign_in()
        page.locator("#hfchat-settings .label-wrap").tap()
        expect(page.locator("#hfchat-system-prompt textarea")).to_be_visible()
        found = page.evaluate(sizes)
        assert len(found) >= 6
        assert min(found) >= 16


def test_an_input_methods_enter_ends_no_renaming(browser: Browser, app: RunningApp) -> None:
    with visiting(browser, app, locale="en-GB", **DESK) as visit:
        page = visit.sign_in().page
        visit.ask("hello")
        expect(page.locator(TURN)).to_be_enabled()
        page.locator("#hfchat-history li .icon").click()
        page.get_by_role("button", name="Rename").click()
        field = page.locator("#hfchat-history li input")
        expect(field).to_have_attribute("dir", "auto")
        expect(field).to_have_attribute("enterkeyhint", "done")
        field.fill("日本")
        compose(page, "#hfchat-history li input")
        page.evaluate(PRESS, ["#hfchat-history li input", "keydown", {"key": "Escape", "isComposing": True}])
        expect(field).to_have_value("日本")
        page.keyboard.press("Enter")
        expect(page.locator("#hfchat-history li .title")).to_have_text("日本")
