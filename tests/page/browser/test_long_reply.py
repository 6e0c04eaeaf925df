"""A very long reply on the page: what is drawn anew at each step does not grow with it, and at its end it is one."""

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import expect

from hfchat.types import Call
from tests.conftest import make_settings, running
from tests.support.browser import BOX, chromium, visiting
from tests.support.scripted_upstream import ScriptedUpstream, Step

TOKENS, PACED, PER_S = 5000, 240, 60
FIRST, LAST = range(PACED), range(TOKENS - PACED, TOKENS)
# Counts the elements that are drawn anew, and notes them when the first paced words are there, and before and after the last.
COUNTING = """
(() => {
  window.drawn = 0; window.marks = {};
  const wanted = %s;
  new MutationObserver((changes) => {
    for (const { addedNodes } of changes) {
      for (const node of addedNodes) window.drawn += node.querySelectorAll ? 1 + node.querySelectorAll("*").length : 1;
    }
    const text = document.querySelector("#hfchat-conversation .bot.message")?.textContent ?? "";
    for (const word of wanted) if (!(word in window.marks) && text.includes(` ${word} `)) window.marks[word] = window.drawn;
  }).observe(document.querySelector("#hfchat-conversation"), { subtree: true, childList: true, characterData: true });
})()
"""


def token(place: int) -> str:
    """Prose, titles, lists and programs, each with its own number."""
    within = place % 200
    if within == 0:
        return f"\n\n## Part {place}\n\n"
    if 60 <= within < 100:
        return f"value = {place} # a step\n" if within > 60 else "\n\n```python\n"
    if within == 100:
        return "```\n\n"
    return f"\n- **item** {place} of a `list` " if 120 <= within < 140 else f" word{place} "


def reply(_: Call) -> Iterator[Step]:
    for place in range(TOKENS):
        yield token(place)
        if place in FIRST or place in LAST:
            yield 1 / PER_S
        elif place % 100 == 0:
            yield 0.05


@pytest.mark.browser
def test_a_step_at_the_end_of_5000_tokens_draws_no_more_than_one_at_the_beginning() -> None:
    upstream = ScriptedUpstream()
    upstream.script = reply
    settings = make_settings(HF_CHAT_MODEL="m", HF_CHAT_MAX_TOKENS="30000", HF_CHAT_DEFAULT_TOKENS="30000")
    marks = [f"word{place}" for place in (20, FIRST[-1] - 1, LAST[0] + 20, LAST[-1] - 2)]
    with running(settings, upstream) as app, chromium() as browser, visiting(browser, app) as visit:
        visit.sign_in()
        page = visit.page
        page.evaluate(COUNTING % marks)
        visit.ask("Write a book.")
        visit.wait_for(marks[-1], 120)
        expect(page.locator(BOX)).to_be_enabled(timeout=60_000)
        noted = page.evaluate("window.marks")
        assert list(noted) == marks
        began, early, late, ended = (noted[mark] for mark in marks)
        assert ended - late < 6 * (early - began)  # drawn whole, some thirty times as much
        # Whole, it is one message, as it would be of a model that does not stream.
        said = page.locator("#hfchat-conversation .bot .message-content")
        expect(said.filter(has_not=page.locator(".hfchat-facts"))).to_have_count(1)
        assert len(page.locator("#hfchat-conversation .bot pre code").all()) == TOKENS // 200
        words = page.evaluate("document.querySelector('#hfchat-conversation .bot.message').textContent")
        prose = [place for place in range(TOKENS) if token(place).startswith(" word")]
        assert [int(place) for place in re.findall(r"word(\d+)", words)] == prose
        assert visit.complaints == []
