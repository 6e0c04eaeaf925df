"""The buttons under what is said, in a real Chromium: edit, try again, take back, rate; after any end, and again."""

from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Locator, expect

from tests.conftest import RunningApp, wait_until
from tests.support.browser import BOX, TURN, Visit, visiting
from tests.support.stub_upstream import Answer, StubUpstream, echo, event

BOT, USER, FIELD = ".message.bot", ".message.user", ".edit-textarea"
TITLES = "#hfchat-history li .title"
WIDE = {"width": 1100, "height": 700}


@pytest.fixture
def visit(browser: Browser, app: RunningApp, stub: StubUpstream) -> Iterator[Visit]:
    with visiting(browser, app, locale="en-GB", viewport=WIDE) as visitor:
        yield visitor.sign_in()
        assert visitor.complaints == []


def ask(visit: Visit, text: str, answer: str | None = None) -> None:
    """Ask, and wait until the turn is over."""
    visit.ask(text)
    ended(visit, answer or text)


def ended(visit: Visit, answer: str) -> None:
    expect(visit.page.locator(BOT).last).to_contain_text(answer)
    expect(visit.page.locator("button.submit-button")).to_be_visible()
    expect(visit.page.locator(TURN)).to_be_enabled()


def edit(visit: Visit, place: int, text: str) -> None:
    """Write another text in the place of a question, and send it."""
    button(visit, "Edit", place).click()
    visit.page.fill(FIELD, text)
    button(visit, "Submit").click()


def button(visit: Visit, name: str, place: int = -1) -> Locator:
    return visit.page.get_by_role("button", name=name, exact=True).nth(place)


def contents(request: dict[str, Any]) -> list[str]:
    """Without the space that an echo ends in; test_exact_text.py holds that nothing else is lost."""
    return [message["content"].removesuffix(" ") for message in request["messages"]]


def test_an_earlier_question_is_edited_and_what_followed_is_replaced(visit: Visit, stub: StubUpstream) -> None:
    for text in ("one", "two", "three"):
        ask(visit, text)
    edit(visit, 1, "another two")
    ended(visit, "another two")
    expect(visit.page.locator(USER)).to_have_text(["one", "another two"])
    assert contents(stub.requests[-1]) == ["one", "one", "another two"]
    edit(visit, 0, "another one")
    ended(visit, "another one")
    expect(visit.page.locator(USER)).to_have_text(["another one"])
    assert contents(stub.requests[-1]) == ["another one"]
    ask(visit, "next")
    assert contents(stub.requests[-1]) == ["another one", "another one", "next"]
    expect(visit.page.locator(TITLES)).to_have_count(1)
    visit.page.reload()
    expect(visit.page.locator(USER)).to_have_text(["another one", "next"])


def test_an_edit_after_a_failure_is_a_turn_like_any_other(visit: Visit, stub: StubUpstream) -> None:
    ask(visit, "good one")
    stub.answer = lambda _: Answer(pieces=[event("half")], ending="cut")
    ask(visit, "bad one", "was cut off")
    edit(visit, 1, "still bad")
    wait_until(lambda: len(stub.requests) == 3)  # what the turn before said is gone by then
    ended(visit, "was cut off")
    expect(visit.page.locator(USER)).to_have_text(["good one", "still bad"])
    stub.answer = echo
    edit(visit, 1, "better one")
    ended(visit, "better one")
    assert contents(stub.requests[-1]) == ["good one", "good one", "better one"]
    expect(visit.page.locator("body")).not_to_contain_text("was cut off")
    stub.answer = lambda _: Answer(pieces=[event("half")], ending="cut")
    edit(visit, 0, "failing one")
    ended(visit, "was cut off")
    stub.answer = echo
    ask(visit, "next")
    assert contents(stub.requests[-1]) == ["next"]


def test_an_edited_turn_is_stopped_and_edited_again(visit: Visit, stub: StubUpstream) -> None:
    ask(visit, "one")
    stub.answer = lambda _: Answer(pieces=[event("so far")], ending="hang")
    edit(visit, 0, "a long story")
    visit.wait_for("so far")
    visit.page.click("button.stop-button")
    ended(visit, "so far")
    wait_until(lambda: stub.in_progress == 0)
    stub.answer = echo
    edit(visit, 0, "a short story")
    ended(visit, "a short story")
    ask(visit, "and another")
    assert contents(stub.requests[-1]) == ["a short story", "a short story", "and another"]


def test_an_edit_is_made_and_cancelled_by_keyboard(visit: Visit, stub: StubUpstream) -> None:
    ask(visit, "one")
    page, field = visit.page, visit.page.get_by_role("textbox", name="Edit your question")
    button(visit, "Edit").press("Enter")
    expect(field).to_be_focused()
    expect(field).to_have_value("one")
    page.keyboard.type(" and more")
    page.keyboard.press("Escape")
    expect(field).to_have_count(0)
    expect(button(visit, "Edit")).to_be_focused()
    expect(page.locator(USER)).to_have_text(["one"])
    page.keyboard.press("Enter")
    field.fill("  ")
    page.keyboard.press("Control+Enter")
    button(visit, "Submit").click()
    expect(field).to_be_focused()
    assert len(stub.requests) == 1
    field.fill("first line")
    page.keyboard.press("Enter")
    page.keyboard.type("second line")
    page.keyboard.press("Control+Enter")
    ended(visit, "second line")
    assert contents(stub.requests[-1]) == ["first line\nsecond line"]
    expect(page.locator(BOX)).to_be_focused()


def test_in_spanish_and_on_a_phone_an_edit_has_names_and_room(
    browser: Browser, app: RunningApp, stub: StubUpstream
) -> None:
    size = {"width": 320, "height": 568}
    with visiting(browser, app, locale="es-ES", viewport=size) as visit:
        visit.sign_in()
        ask(visit, "una pregunta")
        button(visit, "Editar").click()
        expect(visit.page.get_by_role("textbox", name="Editar tu pregunta")).to_be_in_viewport()
        assert visit.page.evaluate("document.documentElement.scrollWidth") <= 320
        button(visit, "Me gusta").click()
        expect(button(visit, "Te gusta")).to_have_attribute("title", "Te gusta")
        button(visit, "Cancelar").click()
        button(visit, "Editar").click()
        visit.page.fill(FIELD, "otra pregunta")
        button(visit, "Enviar", 0).click()
        ended(visit, "otra pregunta")
        assert visit.complaints == []


def test_a_turn_is_tried_again_and_taken_back_twice_in_a_row(visit: Visit, stub: StubUpstream) -> None:
    for text in ("one", "two", "three"):
        ask(visit, text)
    for count in (4, 5):
        button(visit, "Retry").click()
        wait_until(lambda count=count: len(stub.requests) == count)
        ended(visit, "three")
        assert contents(stub.requests[-1]) == ["one", "one", "two", "two", "three"]
    for left, text in ((["one", "two"], "three"), (["one"], "two")):
        button(visit, "Undo").click()
        expect(visit.page.locator(USER)).to_have_text(left)
        expect(visit.page.locator(BOX)).to_have_value(text)
    visit.page.reload()
    expect(visit.page.locator(USER)).to_have_text(["one"])
    button(visit, "Retry").click()
    wait_until(lambda: len(stub.requests) == 6)
    ended(visit, "one")
    assert contents(stub.requests[-1]) == ["one"]


@pytest.mark.parametrize("pieces", [[event("so far")], []], ids=["during the reply", "before the first token"])
def test_after_a_stop_a_turn_is_tried_again_and_taken_back(
    visit: Visit, stub: StubUpstream, pieces: list[bytes]
) -> None:
    ask(visit, "one")
    for act in ("Undo", "Retry"):
        stub.answer = lambda _: Answer(pieces=pieces, ending="hang")
        before = len(stub.requests)
        visit.ask("a long story")
        wait_until(lambda before=before: len(stub.requests) > before)
        expect(visit.page.locator(BOT)).to_have_count(2)
        visit.page.click("button.stop-button")
        expect(visit.page.locator("button.submit-button")).to_be_visible()
        expect(visit.page.locator(TURN)).to_be_enabled()
        stub.answer = echo
        button(visit, act).click()
        if act == "Undo":
            expect(visit.page.locator(USER)).to_have_text(["one"])
            expect(visit.page.locator(BOX)).to_have_value("a long story")
    ended(visit, "a long story")
    assert contents(stub.requests[-1]) == ["one", "one", "a long story"]


def test_the_only_turn_is_taken_back_and_leaves_no_conversation(visit: Visit, stub: StubUpstream) -> None:
    ask(visit, "only this")
    expect(visit.page.locator(TITLES)).to_have_text(["only this"])
    button(visit, "Undo").click()
    expect(visit.page.locator(BOX)).to_have_value("only this")
    expect(visit.page.locator(TITLES)).to_have_count(0)
    expect(visit.page.locator(BOX)).to_be_focused()
    visit.page.keyboard.press("Enter")
    ended(visit, "only this")
    expect(visit.page.locator(TITLES)).to_have_text(["only this"])
    button(visit, "New chat").click()
    expect(visit.page.locator(BOT)).to_have_count(0)
    expect(visit.page.locator(TITLES)).to_have_text(["only this"])


def rated(caplog: pytest.LogCaptureFixture) -> list[tuple[Any, ...]]:
    lines = [record.__dict__["facts"] for record in caplog.records if record.message == "rated"]
    assert all(fact["subject"] == "alice" and "jti" in fact for fact in lines)
    return [(fact["rating"], fact.get("instead_of"), fact.get("model"), fact.get("request_id")) for fact in lines]


def test_a_reply_is_rated_and_the_log_tells_of_which_turn(
    visit: Visit, stub: StubUpstream, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", logger="hfchat")
    on_quota: list[str] = []
    visit.page.on(
        "request", lambda request: "liked" in (request.post_data or "") and on_quota.append(request.post_data)
    )
    ask(visit, "my secret")
    for name, pressed, count in (("Like", "Liked", 1), ("Dislike", "Disliked", 2), ("Disliked", "Dislike", 3)):
        button(visit, name).click()
        expect(button(visit, pressed)).to_have_attribute("aria-pressed", "false" if count == 3 else "true")
        wait_until(lambda count=count: len(rated(caplog)) == count)
    button(visit, "Like").click()
    wait_until(lambda: len(rated(caplog)) == 4)
    ratings, before, models, requests = zip(*rated(caplog), strict=True)
    assert ratings == ("liked", "disliked", "withdrawn", "liked")
    assert before == (None, "liked", "disliked", None)
    turn = next(record.__dict__["facts"] for record in caplog.records if record.message == "turn")
    assert set(models) == {turn["model"]}
    assert set(requests) == {turn["request_id"]}
    assert "secret" not in "".join(on_quota) + caplog.text
    # A thumb belongs to its reply, and not to the place where that stands.
    button(visit, "Retry").click()
    wait_until(lambda: len(stub.requests) == 2)
    ended(visit, "my secret")
    expect(button(visit, "Like")).to_be_visible()
    button(visit, "Like").click()
    expect(button(visit, "Liked")).to_be_visible()
    visit.page.get_by_role("button", name="New chat", exact=True).first.click()
    expect(visit.page.locator(BOT)).to_have_count(0)
    ask(visit, "another")
    button(visit, "Like").click()
    expect(button(visit, "Liked")).to_be_visible()
    visit.page.locator(TITLES).filter(has_text="my secret").click()
    expect(visit.page.locator(BOT)).to_contain_text("my secret")
    expect(button(visit, "Liked")).to_have_attribute("aria-pressed", "true")
    button(visit, "Dislike").click()
    wait_until(lambda: len(rated(caplog)) == 7)
    assert rated(caplog)[-1] == ("disliked", "liked", None, None)


def test_a_thumb_is_still_pressed_after_a_reload_and_counted_once(
    visit: Visit, stub: StubUpstream, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", logger="hfchat")
    page, bot = visit.page, visit.page.locator(BOT)
    for text in ("one", "two", "three"):
        ask(visit, text)
    button(visit, "Like", 0).click()
    expect(button(visit, "Liked")).to_be_visible()
    button(visit, "Dislike", -1).click()
    wait_until(lambda: len(rated(caplog)) == 2)
    for _ in range(2):
        page.reload()
        expect(bot.last).to_contain_text("three")
        for name, place in (("Liked", 0), ("Disliked", 2)):
            pressed = page.locator(".bot-row").nth(place).locator("+ .message-buttons").get_by_label(name, exact=True)
            expect(pressed).to_have_attribute("aria-pressed", "true")
        expect(page.locator("#hfchat-conversation [aria-pressed=true]")).to_have_count(2)
    expect(page.locator(BOX)).to_be_focused()
    # Another reply in its place has none, also where it says the same; and what stays keeps its own.
    button(visit, "Retry").click()
    wait_until(lambda: len(stub.requests) == 4)
    ended(visit, "three")
    expect(page.locator("#hfchat-conversation [aria-pressed=true]")).to_have_count(1)
    page.reload()
    expect(button(visit, "Liked")).to_be_visible()
    expect(page.locator("#hfchat-conversation [aria-pressed=true]")).to_have_count(1)
    assert [rating for rating, *_ in rated(caplog)] == ["liked", "disliked"]
    button(visit, "Liked").click()
    wait_until(lambda: len(rated(caplog)) == 3)
    assert rated(caplog)[-1] == ("withdrawn", "liked", None, None)
    page.reload()
    expect(bot.last).to_contain_text("three")
    expect(page.locator("#hfchat-conversation [aria-pressed=false]")).to_have_count(6)


def test_what_failed_is_not_rated(visit: Visit, stub: StubUpstream) -> None:
    ask(visit, "good one")
    stub.answer = lambda _: Answer(pieces=[event("half")], ending="cut")
    ask(visit, "bad one", "was cut off")
    expect(visit.page.get_by_role("button", name="Like", exact=True)).to_have_count(1)
    expect(visit.page.get_by_role("button", name="Dislike", exact=True)).to_have_count(1)
