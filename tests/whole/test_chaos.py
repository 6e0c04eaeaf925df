"""Chaos: a third of all calls upstream fail in every way that is known, and whoever has patience gets an answer."""

import asyncio
import json
import random
import threading
from collections import Counter
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.conftest import make_settings, make_token, running
from tests.support.stub_upstream import Answer, StubUpstream, reply

pytestmark = [pytest.mark.anyio, pytest.mark.whole]

CASES = json.loads((Path(__file__).parents[1] / "data" / "upstream_failures.json").read_text("utf-8"))
CALLERS = 200
PEOPLE = 20
# Tried with 60 too: the same.
CHAOS_S = 12.0
FAILING = 0.3
LISTED = {"data": [{"id": "a/b", "providers": [{"provider": name, "status": "live"} for name in ("p", "q", "r", "s")]}]}


def fails(case: dict[str, Any]) -> Answer:
    """The failure of this case, before a word."""
    if case["status"] is None:
        return Answer(ending="cut")
    headers = {name: value for name, value in case["headers"].items() if name.lower() != "content-type"}
    return Answer(case["status"], case["content_type"], headers, [(case["body"] or "").encode()])


BEFORE_A_WORD = [case for case in CASES if case["phase"] in ("before-stream", "network") and case["expect"]["code"]]
FINAL = {case["expect"]["code"] for case in BEFORE_A_WORD if not case["expect"]["retryable"]}


async def test_a_time_of_chaos_under_200_callers_leaves_nobody_without_an_answer_and_the_books_balanced() -> None:
    dice, lock = random.Random(11), threading.Lock()

    def answer(_: dict[str, Any]) -> Answer:
        with lock:
            return fails(dice.choice(BEFORE_A_WORD)) if dice.random() < FAILING else reply(["one ", "two ", "three"])

    stub = StubUpstream(answer)
    stub.listing = Answer(content_type="application/json", pieces=[json.dumps(LISTED).encode()])
    variables = {"HF_CHAT_MODEL": "a/b", "HF_CHAT_FALLBACK_MODELS": "c/d", "HFCHAT_STREAMS": "5"}
    heads = [{"Authorization": f"Bearer {make_token(f'person-{number}')}"} for number in range(PEOPLE)]
    body = {"messages": [{"role": "user", "content": "hi"}], "stream": True}
    endings, answered, attempts = Counter[str](), Counter[int](), Counter[str]()
    with stub:
        settings = make_settings(HF_CHAT_BASE_URL=stub.base_url, HFCHAT_PATIENCE_S="60", **variables)
        with running(settings) as app:
            until = asyncio.get_running_loop().time() + CHAOS_S

            async def call(number: int) -> None:
                door, person = ("/api/ai/chat", "/v1/chat/completions")[number % 2], number // 2 % PEOPLE
                while asyncio.get_running_loop().time() < until:
                    response = await web.post(app.url + door, json=body, headers=heads[person])
                    attempts[response.headers.get("X-Hfchat-Attempts", "1")] += 1
                    if response.status_code != 200:
                        endings[response.json()["error"]["code"]] += 1
                    elif '"error"' in response.text or "three" not in response.text:
                        endings[response.text] += 1
                    else:
                        answered[person] += 1

            limits = httpx2.Limits(max_connections=CALLERS)
            async with httpx2.AsyncClient(limits=limits, timeout=120) as web:
                await asyncio.gather(*map(call, range(CALLERS)))
                books = [(await web.get(f"{app.url}/api/ai/usage", headers=head)).json() for head in heads]
    # Only what no retry heals ended without an answer.
    assert set(endings) <= FINAL
    assert all(answered[person] for person in range(PEOPLE))
    assert max(map(int, attempts)) > 2
    # Each answer is charged once, and nothing else is.
    assert [use["budget"]["limit"] - use["budget"]["remaining"] for use in books] == [
        10 * answered[person] for person in range(PEOPLE)
    ]
    assert {use["streams"]["remaining"] for use in books} == {5}
