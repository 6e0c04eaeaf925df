"""Many tabs of one browser, over HTTP/1.1, in a real Chromium: each loads and chats, and a tab that goes leaves nothing."""

from playwright.sync_api import Browser, expect

from hfchat.i18n.sentences import PAGE
from tests.conftest import RunningApp, wait_until
from tests.support.browser import BOX, TURN, Visit, visiting
from tests.support.stub_upstream import Answer, StubUpstream, echo, event

BOT, LINE = ".message.bot", "#hfchat-history-line"
TABS = 8
# As many as have a reply at a time; two more connections are left.
AT_ONCE = 4


def tabs_of(visit: Visit, app: RunningApp) -> list[Visit]:
    visit.sign_in()
    tabs = [visit, *(Visit(visit.page.context, app) for _ in range(TABS - 1))]
    for tab in tabs[1:]:
        tab.page.goto(app.url)
        tab.page.wait_for_selector(BOX)
    return tabs


def take_all_slots(tabs: list[Visit], stub: StubUpstream) -> None:
    """The first tabs have a reply that does not end."""
    stub.answer = lambda _: Answer(pieces=[event("so far")], ending="hang")
    for number, tab in enumerate(tabs[:AT_ONCE], 1):
        tab.page.bring_to_front()
        tab.ask("a long one")
        wait_until(lambda number=number: stub.in_progress == number)  # type: ignore[misc]


def test_any_number_of_tabs_chat(browser: Browser, app: RunningApp, stub: StubUpstream) -> None:
    with visiting(browser, app, locale="en-GB") as visit:
        tabs = tabs_of(visit, app)
        for number, tab in enumerate(tabs):
            tab.ask(f"question {number}")
        for number, tab in enumerate(tabs):
            expect(tab.page.locator(BOT).first).to_contain_text(f"question {number}")
            expect(tab.page.locator(TURN)).to_be_enabled()
        # Replies that go on take no more connections than leave some to stop them, and to load a page.
        take_all_slots(tabs, stub)
        late = tabs[AT_ONCE]
        late.page.bring_to_front()
        late.ask("a long one")
        expect(late.page.locator(LINE)).to_contain_text(PAGE["en"]["tabs_busy"])
        tabs[-1].page.reload()
        tabs[-1].page.wait_for_selector(BOX)
        tabs[0].page.bring_to_front()
        tabs[0].page.locator("#hfchat-box button.stop-button").click()
        expect(late.page.locator(LINE)).to_be_hidden()
        wait_until(lambda: stub.left_early == 1 and stub.in_progress == AT_ONCE)
        # A tab that closes makes room, and ends what it had asked for.
        stub.answer = echo
        tabs[5].page.bring_to_front()
        tabs[5].ask("the last one")
        tabs[1].page.close()
        expect(tabs[5].page.locator(BOT).last).to_contain_text("the last one")
        wait_until(lambda: stub.left_early == 2)
    wait_until(lambda: stub.in_progress == 0)


def test_what_is_stopped_while_it_waits_is_never_sent(browser: Browser, app: RunningApp, stub: StubUpstream) -> None:
    with visiting(browser, app, locale="en-GB") as visit:
        tabs = tabs_of(visit, app)
        take_all_slots(tabs, stub)
        late = tabs[AT_ONCE]
        late.page.bring_to_front()
        late.ask("stopped while it waits")
        expect(late.page.locator(LINE)).to_contain_text(PAGE["en"]["tabs_busy"])
        late.page.locator("#hfchat-box button.stop-button").click()
        expect(late.page.locator(TURN)).to_be_enabled()
        expect(late.page.locator(LINE)).to_be_hidden()
        stub.answer = echo
        tabs[0].page.close()
        late.ask("another one")
        expect(late.page.locator(BOT).last).to_contain_text("another one")
        assert not any(call["messages"][-1]["content"] == "stopped while it waits" for call in stub.requests)
        assert late.complaints == []
    wait_until(lambda: stub.in_progress == 0)


def test_an_idle_tab_holds_no_connection_open(browser: Browser, app: RunningApp) -> None:
    with visiting(browser, app) as visit:
        open_: set[str] = set()
        visit.page.on("request", lambda request: open_.add(request.url))
        for ended in ("requestfinished", "requestfailed"):  # the page itself may close it
            visit.page.on(ended, lambda request: open_.discard(request.url))
        visit.sign_in()
        visit.ask("hello")
        expect(visit.page.locator(f"{BOT} .message-content").first).to_be_visible()
        expect(visit.page.locator(TURN)).to_be_enabled()
        visit.rest()
        for _ in range(100):  # what a turn had opened is closed a moment after it
            if not (held := {url for url in open_ if not url.startswith("data:")}):
                break
            visit.page.wait_for_timeout(100)
        assert held == set()
