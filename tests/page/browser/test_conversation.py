"""The chat page in a real Chromium: what a visitor does, and what they see when it goes wrong."""

import json
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import APIResponse, Browser, Page, Request, Route, expect

from hfchat.auth.policy import PolicyClaim
from hfchat.limits import Limit
from tests.conftest import RunningApp, make_settings, make_token, running, wait_until
from tests.support.browser import BOX, TURN, Visit, visiting
from tests.support.raw_client import ask, bearer
from tests.support.stub_upstream import Answer, StubUpstream, echo, event, reply


@pytest.fixture
def visit(browser: Browser, app: RunningApp, stub: StubUpstream) -> Iterator[Visit]:
    with visiting(browser, app, locale="en-GB") as visitor:
        yield visitor.sign_in()


def contents(request: dict[str, Any]) -> list[tuple[str, str]]:
    """Without the space that an echo ends in; test_exact_text.py holds that nothing else is lost."""
    return [(message["role"], message["content"].removesuffix(" ")) for message in request["messages"]]


def test_an_invite_link_opens_the_page_and_leaves_the_address_bar(visit: Visit) -> None:
    assert visit.page.url == f"{visit.app.url}/"
    visit.expect_signed_in("alice")


def test_a_question_streams_an_answer_and_the_history_is_sent_with_the_next(visit: Visit, stub: StubUpstream) -> None:
    visit.ask("first question")
    visit.wait_for("first question ")
    expect(visit.page.locator(".message.bot")).to_contain_text("first question")
    visit.page.wait_for_selector("button.submit-button")
    visit.ask("second one")
    wait_until(lambda: len(stub.requests) == 2)
    assert contents(stub.requests[1]) == [
        ("user", "first question"),
        ("assistant", "first question"),
        ("user", "second one"),
    ]


def test_no_request_leaves_for_another_host_and_nothing_complains(visit: Visit, stub: StubUpstream) -> None:
    stub.answer = lambda _: reply(
        ["```python\nprint(1)\n```\n", "$x^2$ ![spy](http://127.0.0.1:9/spy.png) <img src='http://127.0.0.1:9/a.png'>"]
    )
    visit.ask("show me")
    visit.page.wait_for_selector(".katex")
    expect(visit.page.locator(".message.bot").first).to_contain_text("<img src='http://127.0.0.1:9/a.png'>")
    assert visit.hosts == {visit.app.url.removeprefix("http://")}
    assert visit.complaints == []


def test_markdown_code_and_every_form_of_latex_are_shown(visit: Visit, stub: StubUpstream) -> None:
    text = "**bold** `code`\n\n```python\nprint('hi')\n```\n\n$a^2$ and $$b^2$$ and \\(c^2\\) and \\[d^2\\]\n\n"
    text += "\\begin{align*}\ne &= f_1 \\\\\n &= g_1\n\\end{align*}\n\n"
    text += "|x|y|\n|-|-|\n|1|2|"
    stub.answer = lambda _: reply([text])
    visit.ask("show me")
    bot = visit.page.locator(".message.bot").first
    expect(bot.locator(".katex-html")).to_have_count(5)
    expect(bot.locator("strong")).to_have_text("bold")
    expect(bot.locator("pre code")).to_contain_text("print('hi')")
    expect(bot.locator("pre .token.string")).to_have_text("'hi'")
    expect(bot.locator(".katex-display")).to_have_count(3)
    expect(bot.locator(".katex-error")).to_have_count(0)
    expect(bot.locator("table td")).to_have_count(2)


def test_a_wide_table_scrolls_and_its_words_stay_whole(browser: Browser, app: RunningApp, stub: StubUpstream) -> None:
    row = f"|{'syllables|' * 8}\n"
    stub.answer = lambda _: reply([row, f"|{'-|' * 8}\n", row])
    with visiting(browser, app, viewport={"width": 320, "height": 640}) as visit:
        visit.sign_in().ask("as a table, please")
        table = visit.page.locator(".message.bot table")
        expect(table.locator("td")).to_have_count(8)
        assert table.evaluate("(table) => table.scrollWidth > table.clientWidth")
        lines = """(cells) => cells.map((cell) => {
          const text = document.createRange();
          text.selectNodeContents(cell);
          return text.getClientRects().length;
        })"""
        assert table.locator("td").evaluate_all(lines) == [1] * 8
        assert visit.page.evaluate("document.documentElement.scrollWidth") == 320


MONEY = """It costs $5, or $10 with tax.

Between **$20,000** and **$30,000**, \\$5-\\$7, US$8/US$9, `$HOME` and `$PATH`.

- $3 and $x^2$
- $4 and $$\\text{if $y$}$$ and \\(z\\)
- $1 (one)

$\\frac{\\sqrt{\\frac{a_{n}}{b}}}{\\text{if $c$}}$ and $n$-th
"""


def test_money_is_no_formula_while_it_comes_and_once_it_is_there(visit: Visit, stub: StubUpstream) -> None:
    stub.answer = lambda _: reply(re.findall(r".{1,4}", MONEY, re.DOTALL), pause_s=0.02)
    visit.page.evaluate(
        """new MutationObserver(() => {
            for (const found of document.querySelectorAll(".katex annotation"))
                window.formulas = (window.formulas ?? new Set()).add(found.textContent);
        }).observe(document.body, { subtree: true, childList: true })"""
    )
    visit.ask("what is $5 or $6, and $q$?")
    bot = visit.page.locator(".message.bot").first
    for again in range(2):
        expect(bot.locator("p").nth(2)).to_contain_text("-th")
        expect(visit.page.locator(TURN)).to_be_enabled()
        expect(bot.locator("p").first).to_have_text("It costs $5, or $10 with tax.")
        expect(bot.locator("p").nth(1)).to_have_text("Between $20,000 and $30,000, $5-$7, US$8/US$9, $HOME and $PATH.")
        assert bot.locator("strong").all_inner_texts() == ["$20,000", "$30,000"]
        assert bot.locator("code").all_inner_texts() == ["$HOME", "$PATH"]
        formulas = ["x^2", "\\text{if $y$}", "z", "\\frac{\\sqrt{\\frac{a_{n}}{b}}}{\\text{if $c$}}", "n"]
        assert bot.locator("annotation").all_text_contents() == formulas
        assert visit.page.locator(".message.user annotation").all_text_contents() == []
        if not again:
            # Until the formula around them ends, those within its text are formulas of their own.
            assert set(visit.page.evaluate("[...window.formulas]")) - {"y", "c"} == set(formulas)
            visit.page.reload()  # opened from what the browser keeps, and drawn anew
    expect(bot.locator("li").last).to_have_text("$1 (one)")


def test_a_failed_turn_keeps_the_question_shows_why_and_can_be_tried_again(visit: Visit, stub: StubUpstream) -> None:
    stub.answer = lambda _: Answer(pieces=[event("half an "), event("answer")], ending="cut")
    visit.ask("a hard question")
    visit.wait_for("The reply was cut off before its end.")
    visit.wait_for("half an answer")
    visit.wait_for("a hard question")
    stub.answer = echo
    # Gradio takes the turn into its state, and empties the box, after the last word is shown.
    expect(visit.page.locator(TURN)).to_be_enabled()
    visit.page.get_by_label("Retry").last.click()
    expect(visit.page.locator("body")).not_to_contain_text("was cut off")
    expect(visit.page.locator(".message.bot")).to_contain_text("a hard question")
    assert contents(stub.requests[1]) == [("user", "a hard question")]
    expect(visit.page.locator(TURN)).to_be_enabled()


def test_a_failed_turn_is_no_part_of_what_is_sent_next(visit: Visit, stub: StubUpstream) -> None:
    visit.ask("good one")
    expect(visit.page.locator(".message.bot")).to_contain_text("good one")
    stub.answer = lambda _: Answer(503, "application/json", pieces=[b'{"error":"Model x is currently loading"}'])
    visit.ask("bad one")
    visit.wait_for("is still loading")
    stub.answer = echo
    visit.ask("next one")
    wait_until(lambda: len(stub.requests) == 3)
    assert contents(stub.requests[2]) == [("user", "good one"), ("assistant", "good one"), ("user", "next one")]


def test_stop_ends_the_call_upstream_and_what_came_stays(visit: Visit, stub: StubUpstream) -> None:
    stub.answer = lambda _: Answer(pieces=[event("so far")], ending="hang")
    visit.ask("long story")
    visit.wait_for("so far")
    visit.page.click("button.stop-button")
    wait_until(lambda: stub.left_early == 1)
    visit.wait_for("so far")
    stub.answer = echo
    expect(visit.page.locator("button.submit-button")).to_be_visible()
    visit.ask("and now this")
    wait_until(lambda: len(stub.requests) == 2)
    assert contents(stub.requests[1])[-1] == ("user", "and now this")


def test_while_a_reply_comes_the_next_question_is_written_and_is_sent_after_it(
    visit: Visit, stub: StubUpstream
) -> None:
    page = visit.page
    stub.answer = lambda _: Answer(pieces=[event("so far")], ending="hang")
    visit.ask("long story")
    visit.wait_for("so far")
    expect(page.locator(BOX)).to_have_value("")
    page.locator(BOX).press_sequentially("and then")
    page.keyboard.press("Enter")
    page.keyboard.type("?")
    expect(page.locator(BOX)).to_have_value("and then?")
    # Nor is anything done to the turn meanwhile, but that it is stopped.
    for name in ("Retry", "Undo", "Edit"):
        act = page.get_by_role("button", name=name, exact=True)
        expect(act).to_have_css("opacity", "0.45")
        act.dispatch_event("click")
    visit.rest()
    expect(page.locator(".edit-textarea")).to_have_count(0)
    expect(page.locator(".message.user")).to_have_text(["long story"])
    expect(page.locator(BOX)).to_have_value("and then?")
    page.click("button.stop-button")
    expect(page.locator(TURN)).to_be_enabled()
    expect(page.locator(BOX)).to_have_value("and then?")
    stub.answer = echo
    page.locator(BOX).press("Enter")
    expect(page.locator(".message.bot").last).to_contain_text("and then?")
    expect(page.locator(".message.user")).to_have_text(["long story", "and then?"])
    expect(page.locator(TURN)).to_be_enabled()
    # What is in the box when a turn is taken back stays, after the question.
    page.fill(BOX, "another thing")
    page.get_by_role("button", name="Undo", exact=True).click()
    expect(page.locator(BOX)).to_have_value("and then?\n\nanother thing")
    assert [contents(request)[-1][1] for request in stub.requests] == ["long story", "and then?"]


@contextmanager
def held(page: Page, writing_into: str) -> Iterator[Callable[[], None]]:
    """Hold back the first request of a step of Gradio's that writes into this component, until the block is left.

    Gives what waits for there to be one.
    """
    component = "window.gradio_config.components.find(({ props }) => props.elem_id === id).id"
    steps = page.evaluate(
        f"(id) => window.gradio_config.dependencies.filter((step) => step.outputs.includes({component})).map(({{ id }}) => id)",
        writing_into,
    )
    routes: list[Route] = []

    def hold(route: Route, request: Request) -> None:
        if not routes and request.post_data_json["fn_index"] in steps:
            routes.append(route)
        else:
            route.continue_()

    page.route("**/run/predict", hold)
    wait = partial(wait_until, lambda: bool(page.wait_for_timeout(10) or routes))
    yield wait
    wait()
    routes[0].continue_()


def test_what_is_written_while_a_question_is_on_its_way_stays(visit: Visit, stub: StubUpstream) -> None:
    with held(visit.page, "hfchat-box") as wait:
        visit.ask("one")
        wait()
        visit.page.keyboard.type(" two")
    expect(visit.page.locator(".message.bot")).to_have_text(re.compile("one"))
    expect(visit.page.locator(TURN)).to_be_enabled()
    expect(visit.page.locator(BOX)).to_have_value(" two")


def test_what_is_sent_before_the_end_of_a_reply_has_come_is_sent_at_its_end(visit: Visit, stub: StubUpstream) -> None:
    stub.answer = lambda _: Answer(pieces=[event("so far")], ending="hang")
    visit.ask("one")
    visit.wait_for("so far")
    stub.answer = echo
    with held(visit.page, "hfchat-turn"):
        visit.page.click("button.stop-button")
        expect(visit.page.locator("button.submit-button")).to_be_visible()
        visit.page.fill(BOX, "two")
        visit.page.keyboard.press("Enter")
        expect(visit.page.locator(BOX)).to_have_value("two")
    expect(visit.page.locator(".message.user")).to_have_text(["one", "two"])
    expect(visit.page.locator(".message.bot").last).to_contain_text("two")
    expect(visit.page.locator(BOX)).to_have_value("")


@pytest.mark.parametrize("pieces", [[event("so far")], []], ids=["during the reply", "before the first token"])
def test_closing_the_tab_ends_the_call_upstream(visit: Visit, stub: StubUpstream, pieces: list[bytes]) -> None:
    stub.answer = lambda _: Answer(pieces=pieces, ending="hang")
    with visit.page.expect_response("**/queue/data?*"):
        visit.ask("long story")
    wait_until(lambda: stub.in_progress == 1)
    visit.page.close()
    wait_until(lambda: stub.left_early == 1)


def test_closing_the_tab_before_it_listens_ends_the_call_upstream(visit: Visit, stub: StubUpstream) -> None:
    stub.answer = lambda _: Answer(ending="hang")
    visit.page.route("**/queue/data?*", lambda _: None)
    visit.ask("long story")
    wait_until(lambda: stub.in_progress == 1)
    visit.page.close()
    wait_until(lambda: stub.left_early == 1)


def test_who_stopped_a_reply_has_it_continued(visit: Visit, stub: StubUpstream) -> None:
    offer = visit.page.locator("#hfchat-stopped button")
    stub.answer = lambda _: reply(["One two ", *["three "] * 600], pause_s=0.1)
    visit.ask("count")
    visit.wait_for("One two")
    visit.page.click("button.stop-button")
    expect(visit.page.locator(TURN)).to_be_enabled()
    stub.answer = lambda _: reply(["and the end."])
    offer.click()
    visit.wait_for("and the end.")
    expect(visit.page.locator(TURN)).to_be_enabled()
    expect(offer).to_have_count(0)
    (*_, partial, instruction) = stub.requests[-1]["messages"]
    assert (partial["role"], partial["content"][:7]) == ("assistant", "One two")
    assert instruction["role"] == "user"
    assert len(visit.replies()) == 1
    # A reply that ended by itself has no more to come.
    visit.ask("again")
    expect(visit.page.locator(".message.bot")).to_have_count(2)
    expect(visit.page.locator(TURN)).to_be_enabled()
    expect(offer).to_have_count(0)
    assert visit.complaints == []


def test_who_asks_sees_the_question_wherever_they_were(visit: Visit, stub: StubUpstream) -> None:
    stub.answer = lambda _: reply(["line\n\n"] * 60)
    visit.ask("a long one")
    place = visit.page.locator("#hfchat-conversation .bubble-wrap")
    wait_until(lambda: place.evaluate("(place) => place.scrollHeight - place.clientHeight > 500"))
    expect(visit.page.locator(TURN)).to_be_enabled()
    visit.rest()
    place.evaluate("(place) => { place.scrollTop = 0; }")
    visit.rest()
    stub.answer = echo
    visit.ask("a short one")
    expect(visit.page.locator(".message.user").last).to_be_in_viewport()


def test_who_scrolls_up_while_a_reply_comes_stays_there(visit: Visit, stub: StubUpstream) -> None:
    # Of few tokens, so that it ends neither at the limit nor before a busy browser has scrolled it.
    stub.answer = lambda _: reply(["line\n\n"] * 640, pause_s=0.1)
    visit.ask("a long one")
    place = visit.page.locator("#hfchat-conversation .bubble-wrap")
    at = "(place) => [place.scrollTop, place.scrollHeight - place.clientHeight]"
    wait_until(lambda: place.evaluate(at)[1] > 1000)
    assert place.evaluate(at)[0] > 500  # it follows what comes
    place.hover()
    visit.page.mouse.wheel(0, -400)
    wait_until(lambda: place.evaluate("(place) => place.scrollHeight - place.clientHeight - place.scrollTop >= 400"))
    (stays, end) = place.evaluate(at)
    wait_until(lambda: place.evaluate(at)[1] > end + 500)
    assert place.evaluate(at)[0] == stays
    visit.page.get_by_role("button", name="Scroll down").click()
    wait_until(lambda: place.evaluate("(place) => place.scrollHeight - place.clientHeight - place.scrollTop < 200"))
    end = place.evaluate(at)[1]
    wait_until(lambda: place.evaluate(at)[1] > end + 500)
    assert place.evaluate(at)[0] > end  # and follows again
    visit.page.click("button.stop-button")


def test_undo_takes_the_turn_back(visit: Visit, stub: StubUpstream) -> None:
    visit.ask("take this back")
    expect(visit.page.locator(".message.bot")).to_contain_text("take this back")
    expect(visit.page.locator(TURN)).to_be_enabled()
    visit.page.get_by_label("Undo").last.click()
    expect(visit.page.locator(".message.bot")).to_have_count(0)
    expect(visit.page.locator(BOX)).to_have_value("take this back")


def test_a_reply_can_be_copied(browser: Browser, app: RunningApp, stub: StubUpstream) -> None:
    with visiting(browser, app, permissions=["clipboard-read", "clipboard-write"]) as visit:
        visit.sign_in().ask("copy me")
        expect(visit.page.locator(".message.bot")).to_contain_text("copy me")
        visit.page.get_by_label("Copy message").last.click()
        assert visit.page.evaluate("navigator.clipboard.readText()").strip() == "copy me"


def test_code_is_copied_alone(browser: Browser, app: RunningApp, stub: StubUpstream) -> None:
    stub.answer = lambda _: reply(["Run this:\n\n```python\nprint('hi')\nprint(2)\n```\n\nand wait."])
    with visiting(browser, app, locale="en-GB", permissions=["clipboard-read", "clipboard-write"]) as visit:
        visit.sign_in().ask("show me")
        visit.wait_for("and wait.")
        visit.page.locator(".message.bot pre").hover()
        visit.page.locator(".message.bot").get_by_role("button", name="Copy code").click()
        visit.page.wait_for_function("navigator.clipboard.readText().then((text) => text.includes('print'))")
        assert visit.page.evaluate("navigator.clipboard.readText()").strip() == "print('hi')\nprint(2)"


def test_reasoning_is_folded_away(visit: Visit, stub: StubUpstream) -> None:
    thought = b'data: {"choices":[{"delta":{"reasoning":"let me see"}}]}\n\n'
    stub.answer = lambda _: Answer(pieces=[thought, *reply(["the answer"]).pieces])
    visit.ask("think")
    visit.wait_for("the answer")
    expect(visit.page.locator(".thought-group")).to_have_text(re.compile(r"Reasoning\s*\(0?\.?\d.*s\)"))
    expect(visit.page.get_by_text("let me see")).not_to_be_visible()
    stub.answer = echo
    visit.ask("more")
    wait_until(lambda: len(stub.requests) == 2)
    assert contents(stub.requests[1])[1] == ("assistant", "the answer")


def test_a_long_thought_that_is_opened_stays_in_sight(visit: Visit, stub: StubUpstream) -> None:
    lines = "".join(f"step {n}\\n\\n" for n in range(80))
    thought = b'data: {"choices":[{"delta":{"reasoning":"%b"}}]}\n\n' % lines.encode()
    stub.answer = lambda _: Answer(pieces=[thought, *reply(["the answer"]).pieces])
    visit.ask("think")
    visit.wait_for("the answer")
    place = visit.page.locator("#hfchat-conversation .bubble-wrap")
    visit.page.locator(".thought-group .title").click()
    wait_until(lambda: place.evaluate("(place) => place.scrollHeight - place.clientHeight > 1000"))
    visit.page.wait_for_timeout(100)
    expect(visit.page.locator(".thought-group .title")).to_be_in_viewport()
    stub.answer = echo
    visit.ask("more")  # whoever asks sees the end again
    wait_until(lambda: place.evaluate("(place) => place.scrollHeight - place.clientHeight - place.scrollTop < 200"))


def test_the_page_speaks_spanish_to_who_reads_it(browser: Browser, app: RunningApp, stub: StubUpstream) -> None:
    stub.answer = lambda _: Answer(429, "application/json", pieces=[b'{"error":"rate limit"}'])
    with visiting(browser, app, locale="es-ES") as visit:
        visit.page.goto(app.url)
        visit.wait_for("Pega el token que te dieron")
        visit.sign_in()
        expect(visit.page.locator(BOX)).to_have_attribute("placeholder", "Escribe un mensaje…")
        visit.expect_signed_in("alice")
        visit.ask("hola")
        visit.wait_for("El proveedor del modelo está limitando las peticiones.")


def test_the_page_fits_a_phone(browser: Browser, app: RunningApp, stub: StubUpstream) -> None:
    with visiting(browser, app, viewport={"width": 360, "height": 640}, color_scheme="dark") as visit:
        visit.page.goto(app.url)
        visit.wait_for("Paste the token")
        assert visit.page.evaluate("document.documentElement.scrollWidth") <= 360
        visit.sign_in().ask("hello on a phone")
        expect(visit.page.locator(".message.bot")).to_contain_text("hello on a phone")
        assert visit.page.evaluate("document.documentElement.scrollWidth") <= 360
        expect(visit.page.locator("button.submit-button")).to_be_in_viewport()


def test_a_lost_connection_is_found_again(visit: Visit, stub: StubUpstream) -> None:
    visit.ask("before")
    expect(visit.page.locator(".message.bot")).to_contain_text("before")
    expect(visit.page.locator(TURN)).to_be_enabled()
    visit.page.context.set_offline(True)
    visit.ask("while away")
    visit.page.wait_for_timeout(2500)
    visit.page.context.set_offline(False)
    expect(visit.page.locator(".message.bot").last).to_contain_text("while away")
    assert "before" in visit.page.inner_text("body")
    visit.ask("and again")
    expect(visit.page.locator(".message.bot").last).to_contain_text("and again")


def test_a_session_that_ends_during_a_reply_says_so_in_the_chat(
    browser: Browser, app: RunningApp, stub: StubUpstream
) -> None:
    stub.answer = lambda _: Answer(pieces=[event("word "), event("word ")], ending="hang")
    with visiting(browser, app) as visit:
        visit.sign_in()
        visit.page.request.post(f"{app.url}/login", form={"token": make_token(ttl_s=4)})
        visit.ask("a long story")
        visit.wait_for("This token has expired.")
        visit.wait_for("word word")
        expect(visit.page.locator(ENDED)).to_have_count(1)
    wait_until(lambda: stub.in_progress == 0)


ENDED = "#hfchat-ended"


def take_back(app: RunningApp, token: str) -> None:
    body = json.dumps({"token": token}).encode()
    assert ask(app, "POST", "/api/ai/revoke", bearer(scopes=("admin",)), body).status == 200


def test_who_signs_in_again_in_another_tab_goes_on_where_they_were(
    browser: Browser, app: RunningApp, stub: StubUpstream
) -> None:
    with visiting(browser, app) as visit:
        token = make_token("ann")
        visit.sign_in(token).ask("before")
        expect(visit.page.locator(".message.bot")).to_contain_text("before")
        expect(visit.page.locator(TURN)).to_be_enabled()
        take_back(app, token)
        visit.ask("my long thought")
        expect(visit.page.locator(ENDED)).to_have_text("Your session has ended: sign in again.")
        assert "before" in visit.page.inner_text("body")
        with visit.page.context.expect_page() as opened:
            visit.page.click(f"{ENDED} a")
        opened.value.fill("input[name=token]", make_token("ann"))
        opened.value.click("button")
        opened.value.wait_for_selector(BOX)
        expect(visit.page.locator(BOX)).to_have_value("my long thought")
        visit.page.locator(BOX).press("Enter")
        expect(visit.page.locator(".message.bot").last).to_contain_text("my long thought")
        expect(visit.page.locator(ENDED)).to_have_count(0)


@pytest.mark.parametrize(("name", "typed"), [("ann", "my long thought"), ("bob", "")], ids=["the same", "another"])
def test_what_was_typed_is_there_again_for_the_same_person_only(
    browser: Browser, app: RunningApp, name: str, typed: str
) -> None:
    with visiting(browser, app) as visit:
        token = make_token("ann")
        visit.sign_in(token).expect_signed_in("ann")
        # An answer of before comes after the one that says it is over.
        late: list[tuple[Route, APIResponse]] = []
        visit.page.route("**/run/predict", lambda route, _: late.append((route, route.fetch())), times=1)
        visit.page.evaluate("document.getElementById('hfchat-turn-ended').click()")
        wait_until(lambda: bool(visit.page.wait_for_timeout(10) or late))
        take_back(app, token)
        visit.ask("my long")
        visit.page.wait_for_selector(ENDED)
        (route, response), *_ = late
        with visit.page.expect_request_finished(lambda request: request == route.request):
            route.fulfill(response=response)
        visit.rest()
        expect(visit.page.locator(ENDED)).to_be_visible(timeout=1)
        visit.page.fill(BOX, "my long thought")
        visit.sign_in(make_token(name))
        visit.expect_signed_in(name)
        visit.page.wait_for_timeout(300)
        expect(visit.page.locator(BOX)).to_have_value(typed)


def test_code_in_angle_brackets_is_shown(visit: Visit, stub: StubUpstream) -> None:
    stub.answer = lambda _: reply(["Use Vec<Option<String>> and ", "#include <vector> here."])
    visit.ask("List<Integer> or Map<K, V>?")
    visit.wait_for("List<Integer> or Map<K, V>?")
    visit.wait_for("Use Vec<Option<String>> and #include <vector> here.")


def test_thoughts_between_tags_are_folded_away(visit: Visit, stub: StubUpstream) -> None:
    stub.answer = lambda _: reply(["<thi", "nk>let ", "me see</th", "ink>", "the answer"])
    visit.ask("think")
    visit.wait_for("the answer")
    expect(visit.page.locator(".thought-group")).to_contain_text("Reasoning")
    expect(visit.page.get_by_text("let me see")).not_to_be_visible()
    assert "think>" not in visit.page.inner_text("body")
    stub.answer = echo
    visit.ask("more")
    wait_until(lambda: len(stub.requests) == 2)
    assert contents(stub.requests[1])[1] == ("assistant", "the answer")


def test_while_a_model_thinks_it_says_so_until_it_is_stopped(visit: Visit, stub: StubUpstream) -> None:
    stub.answer = lambda _: Answer(pieces=[event("<think>let me see")], ending="hang")
    visit.ask("think")
    expect(visit.page.locator(".thought-group")).to_contain_text("Thinking…")
    expect(visit.page.get_by_text("let me see")).to_be_visible()
    expect(visit.page.locator(".loading-spinner")).to_be_visible()
    visit.page.click("button.stop-button")
    expect(visit.page.locator(".loading-spinner")).to_be_hidden()
    expect(visit.page.get_by_text("let me see")).to_be_hidden()
    visit.page.get_by_role("button", name="Reasoning").first.click()
    expect(visit.page.get_by_text("let me see")).to_be_visible()


def test_a_reply_without_a_word_is_said_to_be_one(visit: Visit, stub: StubUpstream) -> None:
    stub.answer = lambda _: Answer(pieces=[event(""), event(finish_reason="stop")])
    visit.ask("say nothing")
    visit.wait_for("The model ended its reply without a word.")
    expect(visit.page.locator(TURN)).to_be_enabled()
    expect(visit.page.get_by_text("You stopped")).to_have_count(0)


def test_a_reply_that_reached_its_limit_says_so(visit: Visit, stub: StubUpstream) -> None:
    stub.answer = lambda _: Answer(pieces=[event("and then"), event(finish_reason="length")])
    visit.ask("tell me everything")
    visit.wait_for("The reply ends here because it reached its limit.")
    stub.answer = echo
    visit.ask("go on")
    wait_until(lambda: len(stub.requests) == 2)
    assert contents(stub.requests[1])[1] == ("assistant", "and then")


def test_an_empty_message_is_met_with_words(visit: Visit, stub: StubUpstream) -> None:
    visit.ask("   ")
    visit.wait_for("There is nothing to answer yet")
    assert stub.requests == []


def test_the_focus_is_back_in_the_box_after_an_answer(visit: Visit, stub: StubUpstream) -> None:
    visit.ask("first")
    expect(visit.page.locator(".message.bot")).to_contain_text("first")
    expect(visit.page.locator(BOX)).to_be_focused()
    visit.page.keyboard.type("typed blindly")
    expect(visit.page.locator(BOX)).to_have_value("typed blindly")


def test_a_providers_words_are_not_read_as_markdown(visit: Visit, stub: StubUpstream) -> None:
    said = b'{"error":{"message":"bad [link](https://x.example) **value** $x$"}}'
    stub.answer = lambda _: Answer(400, "application/json", pieces=[said])
    visit.ask("hello")
    visit.wait_for("bad [link](https://x.example) **value** $x$")


LEFT = ".hfchat-left"


@pytest.fixture(scope="module")
def limited(shared_stub: StubUpstream) -> Iterator[RunningApp]:
    """The page of an owner who set limits."""
    limits = {"HFCHAT_RATE": "30/day", "HFCHAT_BUDGET": "1200300/month", "HF_CHAT_MAX_TOKENS": "100"}
    with running(make_settings(HF_CHAT_BASE_URL=shared_stub.base_url, **limits)) as served:
        yield served


def test_what_is_left_is_shown_and_is_another_after_a_turn(
    browser: Browser, limited: RunningApp, stub: StubUpstream
) -> None:
    with visiting(browser, limited, locale="en-GB") as visit:
        visit.sign_in()
        left = visit.page.locator(LEFT)
        expect(left).to_have_text(["30 of 30 requests left today", "1,200,300 of 1,200,300 tokens left this month"])
        expect(left.first).to_be_hidden()
        expect(visit.page.locator(".hfchat-low")).to_have_count(0)
        visit.open_menu()
        expect(left.first).to_be_visible()
        visit.ask("hello there")
        expect(left).to_have_text(["29 of 30 requests left today", "1,200,291 of 1,200,300 tokens left this month"])
        expect(left.first).to_be_visible()
        stub.answer = lambda _: Answer(503, "application/json", pieces=[b'{"error":"Model x is currently loading"}'])
        expect(visit.page.locator(TURN)).to_be_enabled()
        visit.ask("a turn that fails")
        expect(left).to_have_text(["28 of 30 requests left today", "1,200,291 of 1,200,300 tokens left this month"])
        visit.page.reload()
        expect(left.first).to_have_text("28 of 30 requests left today")
        expect(visit.page.locator("#hfchat-turn-ended")).to_be_hidden()
        assert visit.complaints == []


def test_what_is_left_is_shown_in_spanish_and_fits_a_small_phone(
    browser: Browser, limited: RunningApp, stub: StubUpstream
) -> None:
    with visiting(browser, limited, locale="es-ES", viewport={"width": 320, "height": 568}) as visit:
        visit.sign_in(make_token("José-Guadalupe-de-los-Santos"))
        left = visit.page.locator(LEFT)
        spoken = ["quedan 30 de 30 peticiones hoy", "quedan 1 200 300 de 1 200 300 tokens este mes"]
        expect(left).to_have_text(spoken)
        assert visit.page.evaluate("document.documentElement.scrollWidth") <= 320
        visit.ask("hola")
        expect(left.first).to_have_text("quedan 29 de 30 peticiones hoy")
        visit.open_menu()
        assert visit.page.evaluate("document.documentElement.scrollWidth") <= 320
        for part in (*left.all(), visit.page.get_by_role("button", name="Cerrar sesión")):
            box = part.bounding_box()
            assert box
            assert 0 <= box["x"] < box["x"] + box["width"] <= 320


def test_a_turn_that_a_limit_refuses_is_said_in_the_chat_and_loses_nothing(
    browser: Browser, limited: RunningApp, stub: StubUpstream
) -> None:
    with visiting(browser, limited, locale="en-GB") as visit:
        visit.sign_in(make_token("busy", policy=PolicyClaim(rate=Limit(2, "day"))))
        for answered in ("first one", "second one"):
            visit.ask(answered)
            expect(visit.page.locator(".message.bot").last).to_contain_text(answered)
            expect(visit.page.locator(TURN)).to_be_enabled()
        visit.ask("my long thought")
        visit.wait_for("Too many requests: 2 requests a day; try again in")
        expect(visit.page.locator(".message.user").last).to_contain_text("my long thought")
        expect(visit.page.locator(TURN)).to_be_enabled()
        expect(visit.page.locator(BOX)).to_be_focused()
        expect(visit.page.locator(LEFT).first).to_have_text("0 of 2 requests left today")
        expect(visit.page.locator(ENDED)).to_have_count(0)
        visit.page.get_by_label("Retry").last.click()
        visit.wait_for("Too many requests: 2 requests a day; try again in")
        expect(visit.page.locator(".message.user").last).to_contain_text("my long thought")
        assert "first one" in visit.page.inner_text("body")
        assert len(stub.requests) == 2
        assert visit.complaints == []


def test_a_token_that_is_taken_back_ends_the_reply_in_the_chat(
    browser: Browser, limited: RunningApp, stub: StubUpstream
) -> None:
    stub.answer = lambda _: Answer(pieces=[event("so far")], ending="hang")
    token = make_token("zoe")
    with visiting(browser, limited, locale="en-GB") as visit:
        visit.sign_in(token).ask("a long story")
        visit.wait_for("so far")
        take_back(limited, token)
        visit.wait_for("This token has been taken back.")
        visit.wait_for("so far")
        visit.wait_for("a long story")
        expect(visit.page.locator(ENDED)).to_have_text("Your session has ended: sign in again.")
        visit.page.goto(limited.url)
        visit.wait_for("This token has been taken back.")
    wait_until(lambda: stub.in_progress == 0)


def test_what_is_asked_while_the_store_is_away_waits_for_it(
    browser: Browser, stub: StubUpstream, tmp_path: Path
) -> None:
    here, away = tmp_path / "books", tmp_path / "away"
    settings = make_settings(HF_CHAT_BASE_URL=stub.base_url, HFCHAT_STORE=f"sqlite:///{here}/ledger.db")
    with running(settings) as app, visiting(browser, app, locale="en-GB") as visit:
        visit.sign_in().ask("before")
        expect(visit.page.locator(".message.bot")).to_contain_text("before")
        expect(visit.page.locator(TURN)).to_be_enabled()
        here.rename(away)
        visit.ask("and now?")
        visit.wait_for("This chat does not answer at the moment. Your message waits until it does.")
        expect(visit.page.locator("#hfchat-box")).to_have_css("opacity", "0.6")
        stranger = visit.page.context.new_page()
        assert stranger.goto(app.url).status == 503  # type: ignore[union-attr]
        assert "cannot look up what you may use" in stranger.inner_text("body")
        away.rename(here)
        expect(visit.page.locator(".message.bot").last).to_contain_text("and now?")
        expect(visit.page.locator(ENDED)).to_have_count(0)
        expect(visit.page.locator(".message.user")).to_have_count(2)
        expect(visit.page.locator("#hfchat-box")).to_have_css("opacity", "1")
        stranger.locator(BOX).wait_for()  # it loads anew by itself


def test_signing_out_closes_the_page(visit: Visit) -> None:
    visit.open_menu()
    visit.page.get_by_role("button", name="Sign out").click()
    visit.page.wait_for_url("**/login")
    visit.page.goto(visit.app.url)
    visit.wait_for("Paste the token")


def test_signing_in_works_without_javascript(browser: Browser, app: RunningApp) -> None:
    with visiting(browser, app, java_script_enabled=False) as visit:
        visit.page.goto(app.url)
        visit.page.fill("input[name=token]", make_token(ttl_s=3600, now=1_000_000))
        visit.page.click("button")
        visit.wait_for("This token has expired.")
        visit.page.fill("input[name=token]", make_token())
        visit.page.click("button")
        visit.page.wait_for_url(f"{app.url}/")
        assert visit.hosts == {app.url.removeprefix("http://")}


def test_a_name_is_shown_as_it_is(browser: Browser, app: RunningApp) -> None:
    name = "[x](javascript:alert(1)) <img src=x onerror=alert(1)> **b** $x$"
    with visiting(browser, app) as visit:
        visit.sign_in(make_token(name))
        visit.expect_signed_in(name)
        assert visit.page.locator("#hfchat-who a, #hfchat-who img").count() == 0


def test_two_people_at_once_see_their_own(browser: Browser, app: RunningApp, stub: StubUpstream) -> None:
    stub.answer = lambda request: reply([f"for-{request['messages'][-1]['content']} "] * 15, pause_s=0.02)
    with visiting(browser, app) as one, visiting(browser, app) as two:
        one.sign_in(make_token("ann"))
        two.sign_in(make_token("bob"))
        for turn in range(3):
            one.ask(f"ann{turn}")
            two.ask(f"bob{turn}")
            expect(one.page.locator(".message.bot").nth(turn)).to_contain_text(f"for-ann{turn} " * 14)
            expect(two.page.locator(".message.bot").nth(turn)).to_contain_text(f"for-bob{turn} " * 14)
        assert "bob" not in one.page.inner_text("body")
        assert "ann" not in two.page.inner_text("body")
