"""Two people in two browsers, thirty turns each, at once: nothing of one comes to the other, shown or kept."""

import json
from functools import partial

from playwright.sync_api import expect

from tests.browser import chromium, visiting
from tests.conftest import make_settings, make_token, running, wait_until
from tests.stub_upstream import StubUpstream, reply
from tests.test_page_history_browser import PANEL, WIDE, asked, kept, titles

THIRTY_TURNS = """
async ({ name, conversations, turns }) => {
    const there = async (fact) => { while (!fact()) await new Promise((again) => setTimeout(again, 10)); };
    const box = () => document.querySelector("#hfchat-box textarea");
    const all = (kind) => document.querySelectorAll(`.message.${kind}`);
    for (let conversation = 0; conversation < conversations; conversation += 1) {
        document.querySelector("#hfchat-history .new").click();
        await there(() => !document.querySelector("#hfchat-history[aria-busy]") && !all("bot").length);
        for (let turn = 0; turn < turns; turn += 1) {
            await there(() => !box().disabled && !document.querySelector(".stop-button"));
            box().value = `${name}-${conversation}-${turn}`;
            box().dispatchEvent(new Event("input", { bubbles: true }));
            await new Promise(requestAnimationFrame);
            box().dispatchEvent(new KeyboardEvent("keypress", { key: "Enter", bubbles: true }));
            const end = `${name}-${conversation}-${turn}.`;
            await there(() => all("bot")[turn]?.innerText.includes(end));
        }
        await there(() => !box().disabled);
    }
    window.finished = true;
}
"""


def test_two_people_of_thirty_turns_each_at_once_cross_in_nothing() -> None:
    people = ("ann", "bob")
    with StubUpstream(lambda request: reply([f"{request['messages'][-1]['content']}."])) as stub:
        settings = make_settings(HF_CHAT_BASE_URL=stub.base_url)
        with (
            running(settings) as app,
            chromium() as browser,
            visiting(browser, app, viewport=WIDE) as one,
            visiting(browser, app, viewport=WIDE) as two,
        ):
            visits = dict(zip(people, (one, two), strict=True))
            for name, visit in visits.items():
                visit.sign_in(make_token(name))
                visit.page.wait_for_selector(PANEL)
                work = json.dumps({"name": name, "conversations": 3, "turns": 10})
                visit.page.evaluate(f"void ({THIRTY_TURNS})({work})")
            for name, visit in visits.items():
                wait_until(partial(visit.page.evaluate, "window.finished"), 240)
                expect(titles(visit.page)).to_have_count(3)
                mine = kept(visit.page)
                assert {tuple(asked(messages)) for _, messages in mine} == {
                    tuple(f"{name}-{conversation}-{turn}" for turn in range(10)) for conversation in range(3)
                }
                others = people[1 - people.index(name)]
                assert others not in json.dumps(mine)
                assert f"{others}-" not in visit.page.inner_text("body")
                assert visit.complaints == []
        for request in stub.requests:
            said = json.dumps(request["messages"])
            assert ("ann-" in said) != ("bob-" in said)
    assert len(stub.requests) == 60
