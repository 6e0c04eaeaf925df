"""Two people in two browsers, a hundred turns each, at once: nothing of one comes to the other, shown, kept or received."""

import json
from itertools import chain
from typing import Any

import pytest
from playwright.sync_api import expect

from tests.conftest import make_settings, make_token, running, wait_until
from tests.page.browser.test_history import PANEL, WIDE, kept, questions, titles
from tests.support.browser import BOX, Visit, chromiums, open_invite_link, visiting
from tests.support.stub_upstream import Answer, StubUpstream, reply
from tests.support.wire import Wire

PEOPLE = ("kestrel", "wagtail")
CONVERSATIONS, TURNS = 10, 10
# Each turn begins as soon as the page shows that the one before is over, which a look at every frame finds out.
MANY_TURNS = """
async ({ name, conversations, turns }) => {
    const there = async (fact) => {
        const until = Date.now() + 60_000;
        while (!fact()) {
            if (Date.now() > until) throw new Error(`it did not come true in time: ${fact}`);
            await new Promise(requestAnimationFrame);
        }
    };
    const box = () => document.querySelector("#hfchat-box textarea");
    const said = () => document.querySelectorAll(".message.bot");
    const free = () => !document.getElementById("hfchat-turn").disabled && !document.querySelector(".stop-button");
    for (let conversation = 0; conversation < conversations; conversation += 1) {
        document.querySelector("#hfchat-history .new").click();
        await there(() => !document.querySelector("#hfchat-history[aria-busy]") && !said().length);
        for (let turn = 0; turn < turns; turn += 1) {
            const text = `${name}-${conversation}-${turn}`;
            await there(free);
            box().value = text;
            box().dispatchEvent(new Event("input", { bubbles: true }));
            await new Promise(requestAnimationFrame);
            box().dispatchEvent(new KeyboardEvent("keypress", { key: "Enter", bubbles: true }));
            await there(() => said()[turn]?.textContent.includes(`${text}.`));
        }
        await there(free);
    }
}
"""


def answer(request: dict[str, Any]) -> Answer:
    """The question again, in one piece, at once."""
    return reply([f"{request['messages'][-1]['content']}."])


def begin(visit: Visit, wire: Wire, name: str) -> None:
    """Sign in through the wire, and let the turns go on by themselves."""
    open_invite_link(visit.page, f"{wire.url}/login?token={make_token(name)}")
    for there in (BOX, PANEL):
        visit.page.wait_for_selector(there)
    work = json.dumps({"name": name, "conversations": CONVERSATIONS, "turns": TURNS})
    visit.page.evaluate(f"void (window.allTurns = ({MANY_TURNS})({work}))")


def wait_until_kept(visit: Visit, texts: list[list[str]]) -> None:
    """The page reads what it shows, and keeps it, a quarter of a second after that has changed."""
    wait_until(lambda: questions(visit.page) == texts)


@pytest.mark.browser
def test_two_people_of_a_hundred_turns_each_at_once_cross_in_nothing() -> None:
    with (
        StubUpstream(answer) as stub,
        running(make_settings(HF_CHAT_BASE_URL=stub.base_url)) as app,
        chromiums(2) as (here, there),
        visiting(here, app, viewport=WIDE) as one,
        visiting(there, app, viewport=WIDE) as two,
        Wire(app.port, records=True) as to_one,
        Wire(app.port, records=True) as to_two,
    ):
        people = list(zip(PEOPLE, (one, two), (to_one, to_two), strict=True))
        for name, visit, wire in people:
            begin(visit, wire, name)
        for (name, visit, wire), other in zip(people, reversed(PEOPLE), strict=True):
            visit.page.evaluate("window.allTurns")
            expect(titles(visit.page)).to_have_count(CONVERSATIONS)
            texts = [[f"{name}-{n}-{turn}" for turn in range(TURNS)] for n in range(CONVERSATIONS)]
            wait_until_kept(visit, texts)
            mine = kept(visit.page)
            assert f"{other}-" not in json.dumps(mine) + visit.page.inner_text("body")
            # Each text of the other's begins so. That what came is searched in plain is seen from one's own.
            assert f"{other}-".encode() not in wire.came_back
            assert all(f"{text}.".encode() in wire.came_back for text in chain(*texts))
            assert visit.complaints == []
        for request in stub.requests:
            said = json.dumps(request["messages"])
            assert (f"{PEOPLE[0]}-" in said) != (f"{PEOPLE[1]}-" in said)
    assert len(stub.requests) == len(PEOPLE) * CONVERSATIONS * TURNS
