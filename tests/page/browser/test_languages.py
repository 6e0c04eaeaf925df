"""The page in every language, in a real Chromium: its words and buttons, and text that is written from the right."""

import pytest
from playwright.sync_api import Browser, expect

from hfchat.i18n.language import LANGUAGES, Language, language_of
from hfchat.i18n.sentences import CHAT, DIRECTIONS, GRADIO_KEYS, HISTORY, PAGE
from tests.conftest import RunningApp, wait_until
from tests.support.browser import BOX, TURN, visiting
from tests.support.stub_upstream import Answer, StubUpstream, echo, event, reply

BOT = ".message.bot"
# Of browsers: each language of ours in some country, and one that there is no file of.
REGIONS = {"ar": "ar-EG", "en": "en-GB", "pt": "pt-BR", "zh": "zh-TW"}
LOCALES = [*(REGIONS.get(language, language) for language in LANGUAGES), "fi-FI"]


@pytest.mark.parametrize("locale", LOCALES)
def test_the_buttons_do_what_they_say_in_any_language(
    browser: Browser, app: RunningApp, stub: StubUpstream, locale: str
) -> None:
    language: Language = language_of(locale)
    stub.answer = lambda _: Answer(status=500)
    with visiting(browser, app, locale=locale, viewport={"width": 1100, "height": 700}) as visit:
        page = visit.sign_in().page
        root = page.locator("html")
        expect(page.locator(BOX)).to_have_attribute("placeholder", PAGE[language]["placeholder"])
        expect(root).to_have_attribute("lang", language)
        expect(root).to_have_attribute("dir", DIRECTIONS[language])
        visit.ask("one")
        again = page.locator(".hfchat-do-retry")
        expect(again).to_have_text(CHAT[language]["retry"])
        stub.answer = lambda _: Answer(pieces=[event("so far")], ending="hang")
        again.click()
        expect(page.locator(BOT)).to_have_text("so far")
        # During a reply nothing begins a second turn.
        wait_until(lambda: stub.in_progress == 1)
        asked = len(stub.requests)
        for act in ("retry", "undo"):
            name = GRADIO_KEYS[language][f"chatbot.{act}"]
            page.get_by_role("button", name=name, exact=True).last.click(force=True)
        page.get_by_role("button", name=CHAT[language]["stop"]).click()
        expect(page.locator(TURN)).to_be_enabled()
        assert len(stub.requests) == asked
        stub.answer = echo
        page.get_by_role("button", name=GRADIO_KEYS[language]["chatbot.edit"], exact=True).click()
        page.fill(".edit-textarea", "another")
        page.keyboard.press("Control+Enter")
        expect(page.locator(BOT)).to_contain_text("another")
        expect(page.locator(TURN)).to_be_enabled()
        like = page.locator(f"button[aria-label='{GRADIO_KEYS[language]['chatbot.like']}']")
        like.click()
        expect(page.locator("[data-act=like]")).to_have_attribute("aria-pressed", "true")
        page.locator("[data-act=like]").click()
        expect(like).to_have_attribute("aria-pressed", "false")
        expect(page.locator("#hfchat-history h2")).to_have_text(HISTORY[language]["conversations"])
        expect(root).to_have_attribute("lang", language)
        assert page.locator("[aria-label^='hfchat:']").count() == 0
        assert visit.complaints == []


def test_the_language_that_is_chosen_stays(browser: Browser, app: RunningApp) -> None:
    with visiting(browser, app, locale="de-DE") as visit:
        page = visit.sign_in().page
        visit.open_menu()
        page.get_by_role("button", name="العربية").click()
        expect(page.locator("html")).to_have_attribute("dir", "rtl")
        expect(page.locator(BOX)).to_have_attribute("placeholder", PAGE["ar"]["placeholder"])


MIXED = """Here is English first.

هذه فقرة عربية فيها `x = 1` وانتهت.

- عنصر أول
- عنصر ثان with English

1. English item

> اقتباس عربي

| name | اسم |
|---|---|
| شخص | person |

```python
print('مرحبا')
```
"""


@pytest.mark.parametrize("locale", ["en-GB", "ar-EG"])
def test_each_part_of_a_text_begins_at_its_own_side(
    browser: Browser, app: RunningApp, stub: StubUpstream, locale: str
) -> None:
    stub.answer = lambda _: reply([MIXED])
    with visiting(browser, app, locale=locale, viewport={"width": 1100, "height": 900}) as visit:
        page = visit.sign_in().page
        visit.ask("مرحبا")
        expect(page.locator(f"{BOT} pre")).to_be_visible()
        expect(page.locator(TURN)).to_be_enabled()
        expect(page.locator("#hfchat-history li .title")).to_be_visible()
        visit.rest()
        # On which side of its line, or cell, the first letter of each stands.
        sides = page.evaluate("""() => [".bot p", ".bot p ~ p", ".bot ul li", ".bot ol li", ".bot blockquote p",
            ".bot th", ".bot th + th", ".bot td", ".bot pre code", ".user .hfchat-question",
            "#hfchat-history li .title"].map((selector) => {
          const found = document.querySelector(selector.replace(/^\\.(bot|user)/, ".message.$1"));
          const text = document.createTreeWalker(found, NodeFilter.SHOW_TEXT), range = document.createRange();
          for (let node = text.nextNode(); node; node = text.nextNode()) {
            if (!node.data.trim()) continue;
            range.setStart(node, node.data.search(/\\S/));
            range.setEnd(node, node.data.search(/\\S/) + 1);
            break;
          }
          const letter = range.getBoundingClientRect(), box = found.getBoundingClientRect();
          return letter.left - box.left < box.right - letter.right ? "left" : "right";
        })""")
        begins = ["left", "right", "right", "left", "right", "left", "right", "right", "left", "right", "right"]
        assert sides == begins
        # A sentence of the page's own, though it begins with the name of a model.
        facts = page.locator(".hfchat-facts").evaluate("(facts) => getComputedStyle(facts).direction")
        assert facts == ("rtl" if locale == "ar-EG" else "ltr")
        page.fill(BOX, "مرحبا")
        assert page.locator(BOX).evaluate("(box) => getComputedStyle(box).direction") == "rtl"
        page.fill(BOX, "hello")
        assert page.locator(BOX).evaluate("(box) => getComputedStyle(box).direction") == "ltr"


def test_a_page_that_is_written_from_the_right_is_mirrored_and_nothing_is_out_of_sight(
    browser: Browser, app: RunningApp
) -> None:
    for size in ({"width": 1100, "height": 700}, {"width": 390, "height": 844}):
        with visiting(browser, app, locale="ar", viewport=size) as visit:
            page = visit.sign_in().page
            visit.ask("hello")
            expect(page.locator(f"{BOT} .message-content").first).to_be_visible()
            expect(page.locator(TURN)).to_be_enabled()
            visit.open_menu()
            width = page.evaluate("innerWidth")
            menu, send, user = (
                page.locator(selector).bounding_box()
                for selector in (".hfchat-menu > div", ".submit-button", ".user.message")
            )
            assert menu
            assert send
            assert user
            assert 0 <= menu["x"] < menu["x"] + menu["width"] <= width
            assert send["x"] < width / 2
            assert user["x"] < width / 2
            assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
            if width > 1000:
                panel = page.locator("#hfchat-history").bounding_box()
                assert panel
                assert round(panel["x"] + panel["width"]) == width
