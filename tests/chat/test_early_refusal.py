"""Whoever has nothing left is told so before their body is read, and nobody who may is refused."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from hfchat.chat.early_refusal import (
    MAX_JSON_BYTES_PER_TOKEN,
    SMALL_BODY_BYTES,
    RecentRefusals,
    refuse_too_large,
    refuse_used_up,
)
from hfchat.chat.token_count import MAX_TOKENS_PER_PICTURE, max_prompt_tokens
from hfchat.errors import BudgetExceeded, LimitReached, RateLimitExceeded, TooManyStreams
from hfchat.ledger.meters import Counters
from hfchat.ledger.quota import Quota
from hfchat.limits import Limit
from hfchat.types import Caller, Message, Policy
from tests.conftest import RunningApp, make_settings, running
from tests.support.raw_client import Said, ask, bearer, line_to
from tests.support.rows import each_row
from tests.support.stub_upstream import Answer, StubUpstream

DOORS = ["/api/ai/chat", "/v1/chat/completions"]
POLICY = Policy("m", None, rate=(Limit(10, "hour"),), budget=(Limit(50_000, "hour"),), streams=2)
WHOLE = {
    "choices": [{"message": {"role": "assistant", "content": "hi"}}],
    "usage": {"prompt_tokens": 5, "completion_tokens": 5},
}


def quota(requests: int = 0, tokens: int = 0, streams: int = 0) -> Quota:
    return Quota(POLICY, Counters(((0, requests), (0, tokens)), streams), 100)


USED_UP = {
    "rate": (quota(requests=10), RateLimitExceeded),
    "rate, overdrawn": (quota(requests=11), RateLimitExceeded),
    "budget": (quota(tokens=50_000), BudgetExceeded),
    "budget, nearly": (quota(tokens=50_000 - max_prompt_tokens(())), BudgetExceeded),
}


@pytest.mark.parametrize(("left", "error"), USED_UP.values(), ids=USED_UP)
def test_nothing_left_is_a_refusal(left: Quota, error: type[LimitReached]) -> None:
    with pytest.raises(error):
        refuse_used_up(left)


def test_whoever_may_still_reserve_the_smallest_turn_is_let_in() -> None:
    refuse_used_up(quota(requests=9, tokens=50_000 - max_prompt_tokens(()) - 1, streams=1))
    refuse_used_up(quota(streams=2))  # for a place it may wait
    refuse_used_up(Quota(Policy("m", None), Counters((), 0), 100))


@each_row("sign", ["a", "\x01", "é", "漢", "🎉", '"', "configuration ", "information,"])
def test_no_text_that_the_budget_has_room_for_is_too_large(sign: str) -> None:
    """However JSON writes it."""
    text = sign * 2000
    needed = max_prompt_tokens((Message("user", text),))
    left = quota(tokens=50_000 - needed)
    refuse_too_large(left, len(json.dumps({"messages": [{"role": "user", "content": text}]})), pictures=False)


def test_what_is_too_large_in_any_way_of_writing_is_refused() -> None:
    left = quota(tokens=40_000)
    with pytest.raises(BudgetExceeded):
        refuse_too_large(left, SMALL_BODY_BYTES + 10_001 * MAX_JSON_BYTES_PER_TOKEN, pictures=True)
    refuse_too_large(left, SMALL_BODY_BYTES + 10_000 * MAX_JSON_BYTES_PER_TOKEN, pictures=True)


def test_a_picture_has_as_many_bytes_as_it_likes_where_there_is_room_for_one() -> None:
    refuse_too_large(quota(tokens=50_000 - MAX_TOKENS_PER_PICTURE), 16_000_000, pictures=True)
    with pytest.raises(BudgetExceeded):
        refuse_too_large(quota(tokens=50_001 - MAX_TOKENS_PER_PICTURE), 16_000_000, pictures=True)
    with pytest.raises(BudgetExceeded):
        refuse_too_large(quota(), 16_000_000, pictures=False)


def test_who_was_refused_is_remembered_for_as_long_as_it_may_hold() -> None:
    now = 0.0
    refused = RecentRefusals(lambda: now)
    ann, bob = (Caller(name, "jti", 0, POLICY) for name in ("ann", "bob"))
    assert ann not in refused
    refused.note(ann, RateLimitExceeded(retry_after_s=7))
    assert (ann in refused, bob in refused) == (True, False)
    now = 7.0
    assert ann not in refused
    for number in range(10_010):
        refused.note(Caller(str(number), "jti", 0, POLICY), TooManyStreams())
    assert len(refused._until) == 10_000


@pytest.fixture(scope="module")
def upstream() -> Iterator[StubUpstream]:
    with StubUpstream() as stub:
        yield stub


@pytest.fixture(scope="module")
def app(upstream: StubUpstream) -> Iterator[RunningApp]:
    settings = make_settings(
        HF_CHAT_BASE_URL=upstream.base_url,
        HFCHAT_RATE="3/hour",
        HFCHAT_BUDGET="12000/hour",
        HFCHAT_STREAMS="1",
        HF_CHAT_MAX_TOKENS="1000",
    )
    upstream.answer = lambda _: Answer(content_type="application/json", pieces=[json.dumps(WHOLE).encode()])
    with running(settings) as served:
        yield served


def call(app: RunningApp, door: str, subject: str, **more: Any) -> Said:
    body = json.dumps({"messages": [{"role": "user", "content": "hi"}], **more}).encode()
    return ask(app, "POST", door, bearer(subject), body)


def announce(app: RunningApp, door: str, subject: str, size: int, **headers: str) -> Said:
    """What is answered to a head alone, whose body never comes."""
    with line_to(app) as line:
        return line.ask("POST", door, {**bearer(subject), **headers, "Content-Length": str(size)})


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize("size", [100, 900_000])
def test_a_used_up_rate_is_said_before_the_body_comes(app: RunningApp, door: str, size: int) -> None:
    subject = f"rate-{door}-{size}"
    for _ in range(3):
        assert call(app, door, subject).status == 200
    assert call(app, door, subject).code == "rate_limit_exceeded"
    refused = announce(app, door, subject, size)
    assert (refused.status, refused.code) == (429, "rate_limit_exceeded")
    assert int(refused.headers["Retry-After"]) > 0
    assert refused.headers["RateLimit-Remaining"] == "0"


@pytest.mark.parametrize("door", DOORS)
def test_a_used_up_rate_is_said_before_a_large_body_comes_the_first_time_too(app: RunningApp, door: str) -> None:
    subject = f"first-{door}"
    for _ in range(3):
        assert call(app, door, subject).status == 200
    assert announce(app, door, subject, 900_000).code == "rate_limit_exceeded"


@pytest.mark.parametrize("door", DOORS)
def test_a_body_that_no_budget_has_room_for_is_not_read(app: RunningApp, door: str) -> None:
    refused = announce(app, door, f"large-{door}", 900_000)
    assert (refused.status, refused.code) == (429, "budget_exceeded")
    assert b"12,000" in refused.body


@pytest.mark.parametrize("door", DOORS)
def test_a_body_in_chunks_is_read_as_far_as_the_budget_goes(app: RunningApp, door: str) -> None:
    head = {**bearer(f"chunks-{door}"), "Transfer-Encoding": "chunked"}
    # `Line` sends it as it is, and the last chunk, which would end it, not at all.
    chunk = b"%x\r\n%s\r\n" % (400_000, b" " * 400_000)
    with line_to(app) as line:
        refused = line.begin("POST", door, head, chunk, length=False)
    assert refused.status == 429


@pytest.mark.parametrize("door", DOORS)
def test_a_kept_answer_is_given_to_whoever_has_nothing_left(app: RunningApp, door: str) -> None:
    headers = {**bearer(f"kept-{door}"), "Idempotency-Key": "k"}
    body = json.dumps({"messages": [{"role": "user", "content": "hi"}]}).encode()
    answers = [ask(app, "POST", door, headers, body)]
    for _ in range(3):
        last = call(app, door, f"kept-{door}")
    assert last.code == "rate_limit_exceeded"
    answers.append(ask(app, "POST", door, headers, body))
    assert [said.status for said in answers] == [200, 200]
    assert answers[1].headers["Idempotent-Replayed"] == "true"


@pytest.mark.parametrize("door", DOORS)
def test_who_was_refused_for_one_call_may_still_make_another(app: RunningApp, door: str) -> None:
    subject = f"long-{door}"
    long = call(app, door, subject, messages=[{"role": "user", "content": "x" * 12_000}])
    assert long.code == "budget_exceeded"
    assert call(app, door, subject).status == 200
