"""What is written is what is shown, copied, kept and sent, whatever a visitor does with it: byte for byte, in a real Chromium."""

from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Locator, expect

from tests.conftest import RunningApp, make_settings, running, wait_until
from tests.page.browser.test_buttons import FIELD, USER, button
from tests.support.browser import BOX, TURN, Visit, chromium, visiting
from tests.support.stub_upstream import Answer, StubUpstream, event, reply

SIGNS = "\u00a0\u2003\u200b\u2028 e\u0301 \ufb01 \U0001f468\u200d\U0001f469"
ASKED = f'\n  for i in range(3):\n    print(i)\n\tprint(-i)\n\n- A\n  - b *c* __d__ src="/file=x"  {SIGNS}\n\n'
SAID = f"    Indented.\n\nA Makefile:\n\n```make\nall:\n\techo a\tb\n\n\n```\n\n- A\n  - b  \n  {SIGNS}\n\n"
BOT = ".message.bot .message-content"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A browser for which this machine has another name too: over plain http it has no clipboard to offer there."""
    with chromium("--host-resolver-rules=MAP chat.example 127.0.0.1") as found:
        yield found


@pytest.fixture
def visit(browser: Browser, app: RunningApp, stub: StubUpstream) -> Iterator[Visit]:
    stub.answer = lambda _: reply([SAID[:9], SAID[9:60], SAID[60:]])
    permissions = ["clipboard-read", "clipboard-write"]
    with visiting(browser, app, locale="en-GB", permissions=permissions) as visitor:
        yield visitor.sign_in()


def asked(stub: StubUpstream, count: int) -> list[tuple[str, str]]:
    """What the provider was asked as this request."""
    wait_until(lambda: len(stub.requests) == count)
    return [(message["role"], message["content"]) for message in stub.requests[-1]["messages"]]


def ended(visit: Visit) -> None:
    visit.page.wait_for_selector("button.submit-button")
    expect(visit.page.locator(TURN)).to_be_enabled()
    visit.rest()


def copied(visit: Visit, of: Locator) -> Any:
    visit.page.evaluate("navigator.clipboard.writeText('nothing')")
    of.click()
    visit.page.wait_for_function("navigator.clipboard.readText().then((text) => text !== 'nothing')")
    return visit.page.evaluate("navigator.clipboard.readText()")


def test_a_text_goes_through_every_button_as_it_was_written(visit: Visit, stub: StubUpstream) -> None:
    page, turn = visit.page, [("user", ASKED), ("assistant", SAID)]
    visit.ask(ASKED)
    assert asked(stub, 1) == turn[:1]
    ended(visit)
    assert page.locator(".hfchat-question").text_content() == ASKED
    assert page.locator(f"{BOT} pre code").last.text_content() == "all:\n\techo a\tb\n\n\n"
    assert copied(visit, page.get_by_label("Copy message").last) == SAID
    assert copied(visit, page.get_by_label("Copy message").first) == ASKED
    assert copied(visit, page.locator(".copy_code_button").last) == "all:\n\techo a\tb\n\n"
    button(visit, "Retry").click()
    assert asked(stub, 2) == turn[:1]
    ended(visit)
    visit.ask("next")
    assert asked(stub, 3) == [*turn, ("user", "next")]
    ended(visit)
    button(visit, "Edit", 0).click()
    expect(page.locator(FIELD)).to_have_value(ASKED)
    button(visit, "Submit").click()
    assert asked(stub, 4) == turn[:1]
    ended(visit)
    page.reload()
    page.wait_for_selector(f"{BOT} pre")
    visit.rest()
    assert page.locator(".hfchat-question").text_content() == ASKED
    visit.ask("again")
    assert asked(stub, 5) == [*turn, ("user", "again")]
    ended(visit)
    for _ in range(2):
        button(visit, "Undo").click()
        visit.rest()
    assert page.input_value(BOX) == ASKED
    page.reload()  # the draft is kept too
    expect(page.locator(BOX)).to_have_value(ASKED)


def test_a_long_reply_that_was_stopped_keeps_its_empty_lines(visit: Visit, stub: StubUpstream) -> None:
    paragraphs = [f"Paragraph {n}. {'characteristic ' * 28}\n\n    code {n}\n\n\n" for n in range(14)]
    stub.answer = lambda _: Answer(pieces=[event(text) for text in paragraphs], ending="hang")
    visit.ask("A long one.")
    visit.wait_for("Paragraph 13.")
    expect(visit.page.locator(BOT).nth(1)).to_be_attached()
    visit.page.click("button.stop-button")
    ended(visit)
    expect(visit.page.locator(BOT)).to_have_count(1)
    whole = "".join(paragraphs)
    assert copied(visit, visit.page.get_by_label("Copy message").last) == whole
    stub.answer = lambda _: reply(["ok"])
    visit.ask("next")
    assert asked(stub, 2) == [("user", "A long one."), ("assistant", whole), ("user", "next")]


def test_what_is_thought_and_what_the_page_says_is_not_copied(visit: Visit, stub: StubUpstream) -> None:
    stub.answer = lambda _: reply(["<think>hm</think>", "It is **so**."])
    visit.page.get_by_role("button", name="Settings").click()
    visit.page.get_by_role("checkbox").first.check()
    visit.page.get_by_role("button", name="Settings").click()
    visit.ask("Is it?")
    visit.page.wait_for_selector(".hfchat-facts")
    ended(visit)
    assert copied(visit, visit.page.get_by_label("Copy message").last) == "It is **so**."


def test_a_question_is_shown_with_its_lines_and_spaces(visit: Visit) -> None:
    text = "What is 2*3*4 and 5*6*7?\n    __init__  # comment\nC:\\new\\*.txt <b>x</b> $x$\n1. a\n> q ~~z~~ https://a.org/_b_"
    visit.ask(text)
    ended(visit)
    shown = visit.page.locator(USER)
    assert shown.inner_text() == text
    expect(shown.locator("a, b, em, strong, del, li, blockquote, code, .katex")).to_have_count(0)


def test_over_plain_http_what_is_said_to_be_copied_is(browser: Browser, stub: StubUpstream) -> None:
    stub.answer = lambda _: reply([SAID])
    settings = make_settings(HF_CHAT_BASE_URL=stub.base_url)
    with running(settings) as app:
        app.url = app.url.replace("127.0.0.1", "chat.example")
        with visiting(browser, app, locale="en-GB") as visit:
            page = visit.sign_in().page
            assert not page.evaluate("isSecureContext")

            def pasted() -> str:
                page.fill(BOX, "")
                page.locator(BOX).press("Control+V")
                return page.input_value(BOX)

            visit.ask("show me")
            ended(visit)
            page.get_by_label("Copy message").last.click()
            assert pasted() == SAID
            page.locator(".copy_code_button").last.click()
            assert pasted() == "all:\n\techo a\tb\n\n"
            visit.open_menu()
            page.get_by_role("button", name="Use it from a program").click()
            dialog = page.get_by_role("dialog")
            token = dialog.locator("pre").last.text_content()
            dialog.get_by_role("button", name="Copy").last.click()
            expect(dialog.get_by_role("button", name="Copied")).to_be_visible()
            # Where even that is refused, it is selected, and the page says so.
            page.evaluate("document.execCommand = () => false")
            dialog.get_by_role("button", name="Copy").first.click()
            expect(dialog.get_by_role("button", name="Selected")).to_be_visible()
            assert (page.evaluate("getSelection().toString()") or "").startswith("curl ")
            dialog.get_by_role("button", name="Close").click()
            assert pasted() == token
