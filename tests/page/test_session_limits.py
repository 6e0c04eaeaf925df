"""One person's pages cannot take what all the others need: sessions, what they hold, and events, as Gradio has them."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser
from starlette.routing import Mount

from hfchat.page.rate_limit import PageRateLimit
from hfchat.page.requests import PageRequestMiddleware
from hfchat.page.session_limits import Bounds, SessionLimitMiddleware, SessionLimits
from hfchat.page.sessions import LEFT, PageRequest
from tests.conftest import RunningApp, make_settings, running, wait_until
from tests.support.browser import visiting
from tests.support.raw_client import UNSET, Said, ask, bearer, functions, line_to, post
from tests.support.rows import each_row
from tests.support.stub_upstream import Answer, StubUpstream, event, reply

JOIN, CALL, PREDICT = "/gradio_api/queue/join", "/gradio_api/call/chat", "/gradio_api/run/predict"
BOUNDS = Bounds(sessions_a_person=5, bytes_a_person=200_000, sessions=12, bytes=600_000, events_a_session=3)


@pytest.fixture(scope="module")
def app(shared_stub: StubUpstream) -> Iterator[RunningApp]:
    with running(make_settings(HF_CHAT_BASE_URL=shared_stub.base_url, HF_CHAT_MODEL="m")) as served:
        yield served


def gradio(app: RunningApp) -> Any:
    """Gradio's application."""
    return next(route.app for route in app.app.routes if isinstance(route, Mount))


def page(app: RunningApp) -> Any:
    return gradio(app).get_blocks()


@pytest.fixture
def bounds(app: RunningApp, stub: StubUpstream) -> Iterator[SessionLimits]:
    """The program's bounds, narrow, with no session there."""
    (found,) = (layer.kwargs["limits"] for layer in gradio(app).user_middleware if layer.cls is SessionLimitMiddleware)
    before = found._bounds
    found._bounds = BOUNDS
    yield found
    found._bounds = before
    # A client has its answer a moment before the request has ended here.
    wait_until(lambda: app.in_loop(lambda: drop_all(found)))
    assert (found._count, found._size) == (0, 0)


def drop_all(bounds: SessionLimits) -> bool:
    """Drop every session in which nothing is in progress. Whether none is left."""
    for person in list(bounds._people):
        while bounds._drop_oldest(person):
            pass
    return not bounds._people


def message(text: str) -> dict[str, Any]:
    return {"role": "user", "metadata": None, "options": None, "content": [{"type": "text", "text": text}]}


def show(app: RunningApp, subject: str, session: str, text: str = "hi") -> Said:
    """Have Gradio keep a conversation of this text."""
    number = functions(app)["open_"]
    body = {"data": [[message(text)]], "fn_index": number, "session_hash": session}
    return post(app, PREDICT, body, subject)


def join(app: RunningApp, subject: str, session: str, text: str = "hi") -> Said:
    return post(app, CALL, {"data": [text, [], *UNSET], "session_hash": session}, subject)


def kept(app: RunningApp) -> int:
    return len(sessions_of(app))


def kept_letters(app: RunningApp, letter: str) -> int:
    """How many of the letters, a thousand in a row or more, there are in what Gradio keeps."""
    sessions = app.in_loop(lambda: [(one.config_values, one.state_data) for one in sessions_of(app).values()])
    return 1000 * json.dumps(sessions, default=str).count(letter * 1000)


def sessions_of(app: RunningApp) -> Any:
    return page(app).state_holder.session_data


def test_a_person_has_so_many_sessions_and_the_others_have_theirs(app: RunningApp, bounds: SessionLimits) -> None:
    assert show(app, "bob", "his").status == 200
    for number in range(20):
        assert show(app, "alice", f"s{number}").status == 200
    assert kept(app) == 6
    assert sorted(len(person.sessions) for person in bounds._people.values()) == [1, 5]


def test_what_is_used_stays_and_what_was_used_longest_ago_goes(app: RunningApp, bounds: SessionLimits) -> None:
    show(app, "alice", "used")
    (used,) = sessions_of(app)
    for number in range(12):
        show(app, "alice", f"s{number}")
        show(app, "alice", "used")
    assert used in sessions_of(app)


def test_what_the_sessions_of_one_person_hold_is_bounded(app: RunningApp, bounds: SessionLimits) -> None:
    show(app, "bob", "his", "b" * 50_000)
    for number in range(5):
        assert show(app, "alice", f"s{number}", "a" * 40_000).status == 200
    wait_until(lambda: kept_letters(app, "a") <= BOUNDS.bytes_a_person)
    assert kept_letters(app, "b") >= 50_000
    assert show(app, "alice", "huge", "a" * 300_000).status == 200
    wait_until(lambda: kept(app) == 1)
    assert kept_letters(app, "b") >= 50_000


def test_all_together_hold_so_much_and_who_has_most_gives_first(app: RunningApp, bounds: SessionLimits) -> None:
    show(app, "small", "one", "b" * 1000)
    for number in range(5):
        show(app, f"person-{number}", "s", "a" * 60_000)
    wait_until(lambda: bounds._size <= BOUNDS.bytes)
    assert "\x1f".join(("hfchat", "small")) in bounds._people
    for number in range(20):
        show(app, f"many-{number}", "s")
    assert kept(app) == bounds._count == 12


def test_a_session_that_is_dropped_leaves_nothing_in_gradio(
    app: RunningApp, stub: StubUpstream, bounds: SessionLimits
) -> None:
    stub.answer = lambda _: reply(["done"])
    queue = page(app)._queue
    for number in range(20):
        assert join(app, "alice", f"s{number}").status == 200
        wait_until(lambda: not queue.event_ids_to_events)
    for holder in (
        sessions_of(app),
        page(app).state_holder.time_last_used,
        queue.pending_messages_per_session,
        queue.pending_event_ids_session,
    ):
        assert len(holder) <= 5
    assert len(queue.event_analytics) <= 1


def test_a_session_in_the_middle_of_a_reply_is_not_dropped(
    app: RunningApp, stub: StubUpstream, bounds: SessionLimits
) -> None:
    stub.answer = lambda _: Answer(pieces=[event("one ")], ending="hang")
    busy = [join(app, "alice", f"busy{number}").json["event_id"] for number in range(5)]
    wait_until(lambda: stub.in_progress == 5)
    refused = join(app, "alice", "one-more")
    assert (refused.status, refused.code) == (429, "too_many_streams")
    assert show(app, "alice", "another").code == "too_many_streams"
    assert show(app, "bob", "his").status == 200
    assert stub.in_progress == 5
    number = functions(app)["chat"]
    for place, event_id in enumerate(busy):
        body = {"session_hash": f"busy{place}", "fn_index": number, "event_id": event_id}
        assert post(app, "/gradio_api/cancel", body).status == 200
    wait_until(lambda: stub.in_progress == 0)
    assert show(app, "alice", "another").status == 200


def test_what_nobody_fetches_is_not_asked_for_without_end(
    app: RunningApp, stub: StubUpstream, bounds: SessionLimits
) -> None:
    stub.answer = lambda _: reply(["done"])
    events = [join(app, "alice", "same") for _ in range(5)]
    assert [said.status for said in events] == [200] * 3 + [429] * 2
    assert events[3].code == "too_many_streams"
    assert b"3 " in events[3].body
    for said in events[:3]:
        ask(app, "GET", f"{CALL}/{said.json['event_id']}", bearer())
    assert join(app, "alice", "same").status == 200


def test_a_call_without_a_session_gets_one_of_its_own(
    app: RunningApp, stub: StubUpstream, bounds: SessionLimits
) -> None:
    stub.answer = lambda _: reply(["done"])
    for _ in range(20):
        event_id = post(app, CALL, {"data": ["hi", [], *UNSET]}).json["event_id"]
        assert b"done" in ask(app, "GET", f"{CALL}/{event_id}", bearer()).body
    assert kept(app) == 5


@pytest.mark.whole
@pytest.mark.parametrize("session", [{"session_hash": "theirs"}, {}], ids=["of a page", "of a program"])
def test_another_persons_event_is_nobodys(
    app: RunningApp, stub: StubUpstream, bounds: SessionLimits, session: dict[str, str]
) -> None:
    stub.answer = lambda _: reply([f"swordfish{place} " for place in range(20)], pause_s=0.05)
    event_id = post(app, CALL, {"data": ["hi", [], *UNSET], **session}, "bob").json["event_id"]
    wait_until(lambda: stub.in_progress == 1)
    chat = functions(app)["chat"]
    stolen = ask(app, "GET", f"{CALL}/{event_id}", bearer("alice"))
    assert (stolen.status, b"swordfish" in stolen.body) == (404, False)
    for named in ("theirs", "other"):
        body = {"session_hash": named, "fn_index": chat, "event_id": event_id}
        assert post(app, "/gradio_api/cancel", body, "alice").status == 404
    assert stub.in_progress == 1
    assert b"swordfish19" in ask(app, "GET", f"{CALL}/{event_id}", bearer("bob")).body
    assert stub.left_early == 0
    # One that has ended, and was not fetched, is still theirs alone.
    done = post(app, CALL, {"data": ["hi", [], *UNSET], **session}, "bob").json["event_id"]
    wait_until(lambda: not page(app)._queue.event_ids_to_events)
    assert ask(app, "GET", f"{CALL}/{done}", bearer("alice")).status == 404
    assert b"swordfish19" in ask(app, "GET", f"{CALL}/{done}", bearer("bob")).body


def test_a_person_cancels_their_own_event(app: RunningApp, stub: StubUpstream, bounds: SessionLimits) -> None:
    stub.answer = lambda _: Answer(pieces=[event("one ")], ending="hang")
    event_id = join(app, "bob", "his").json["event_id"]
    wait_until(lambda: stub.in_progress == 1)
    body = {"session_hash": "his", "fn_index": functions(app)["chat"], "event_id": event_id}
    assert post(app, "/gradio_api/cancel", body, "bob").status == 200
    wait_until(lambda: stub.in_progress == 0)


def rate_limit_of(app: RunningApp) -> PageRateLimit:
    return next(
        layer.kwargs["rate_limit"] for layer in gradio(app).user_middleware if layer.cls is PageRequestMiddleware
    )


@pytest.fixture
def narrow(app: RunningApp) -> Iterator[PageRateLimit]:
    rate_limit = rate_limit_of(app)
    before = (rate_limit._burst, rate_limit._steps_a_second, rate_limit._max_connections)
    rate_limit._burst, rate_limit._steps_a_second, rate_limit._max_connections = 20.0, 0.5, 3
    rate_limit._left.clear()
    yield rate_limit
    rate_limit._burst, rate_limit._steps_a_second, rate_limit._max_connections = before
    rate_limit._left.clear()


STEPS = {
    "predict": ("POST", PREDICT, b'{"data":[],"fn_index":%d,"session_hash":"a%d"}'),
    "join": ("POST", JOIN, b'{"data":[],"fn_index":%d,"session_hash":"a%d"}'),
    "cancel": ("POST", "/gradio_api/cancel", b'{"session_hash":"a","fn_index":%d,"event_id":"x%d"}'),
    "the page": ("GET", "/", b""),
    "its config": ("GET", "/config", b""),
}


@pytest.mark.parametrize(("method", "path", "body"), STEPS.values(), ids=STEPS)
def test_steps_of_the_page_have_a_rate(
    app: RunningApp, narrow: PageRateLimit, method: str, path: str, body: bytes
) -> None:
    number = functions(app)["account_menu"]
    narrow._steps_a_second = 0.05  # the thirty may take a busy machine long
    headers = {**bearer(f"fast-{path}"), "Content-Type": "application/json"}
    said = [ask(app, method, path, headers, body and body % (number, place)) for place in range(30)]
    assert 10 <= [one.status for one in said].count(429) <= 12
    assert (said[-1].code, int(said[-1].headers["Retry-After"]) > 0) == ("rate_limit_exceeded", True)
    assert ask(app, method, path, {**headers, **bearer("slow")}, body and body % (number, 0)).status == 200
    # A turn of the API is another matter.
    assert ask(app, "GET", "/api/ai/usage", headers).status == 200


def test_a_large_step_counts_as_many(app: RunningApp, narrow: PageRateLimit) -> None:
    number = functions(app)["open_"]
    body = {"data": [[message("x" * 1_000_000)]], "fn_index": number, "session_hash": "a"}
    said = [post(app, PREDICT, body, "heavy") for _ in range(2)]
    assert [one.status for one in said] == [200, 429]


def test_a_body_is_not_read_of_whoever_asks_too_fast(app: RunningApp, narrow: PageRateLimit) -> None:
    narrow.take("hfchat\x1fhasty", 100)
    with line_to(app) as line:
        head = {**bearer("hasty"), "Content-Length": "4000000"}
        assert line.ask("POST", PREDICT, head).status == 429


@pytest.mark.parametrize("path", ["/gradio_api/heartbeat/a%d"])
def test_connections_are_counted(app: RunningApp, narrow: PageRateLimit, path: str) -> None:
    lines = [line_to(app) for _ in range(4)]
    opened = [line.__enter__() for line in lines]
    statuses = [line.begin("GET", path % number, bearer("open")).status for number, line in enumerate(opened)]
    assert statuses == [200, 200, 200, 429]
    assert ask(app, "GET", "/gradio_api/queue/data?session_hash=a", bearer("open")).code == "too_many_streams"
    with line_to(app) as line:
        assert line.begin("GET", path % 9, bearer("other")).status == 200
    for line in lines:
        line.__exit__(None, None, None)
    wait_until(lambda: not narrow._open)


DEEP = {
    "lists": b"[" + b"[]," * 1_000_000 + b"[]]",
    "numbers": b"[" + b"0," * 1_000_000 + b"0]",
    "pictures": json.dumps("[" + "[]," * 1_000_000 + "[]]").encode(),
}


@each_row("value", [DEEP["lists"], DEEP["numbers"]], ids=["lists", "numbers"])
@each_row("path", [PREDICT, JOIN, CALL, "/gradio_api/cancel", "/gradio_api/reset"])
def test_a_body_of_very_many_values_is_refused(app: RunningApp, path: str, value: bytes) -> None:
    response = post(app, path, b'{"data":%s,"fn_index":1,"session_hash":"a"}' % value, f"deep-{path}")
    assert (response.status, response.code) == (400, "invalid_request")


def test_the_same_in_another_encoding_is_refused(app: RunningApp) -> None:
    body = ('{"data":["\u2222",%s"\u2222"],"fn_index":1,"session_hash":"a"}' % ("0," * 500_000)).encode("utf-16")
    assert post(app, PREDICT, body, "utf-16").code == "invalid_request"


def test_a_page_whose_session_was_dropped_goes_on(
    browser: Browser, app: RunningApp, stub: StubUpstream, bounds: SessionLimits
) -> None:
    stub.answer = lambda request: reply([f"answer {len(request['messages'])}."])
    with visiting(browser, app) as visit:
        visit.sign_in()
        visit.ask("first")
        visit.wait_for("answer 1.")
        visit.rest()
        wait_until(lambda: app.in_loop(lambda: drop_all(bounds)))
        assert kept(app) == 0
        visit.ask("second")
        visit.wait_for("answer 3.")
        assert visit.complaints == []
    asked = [one["content"] for one in stub.requests[-1]["messages"]]
    assert asked == ["first", "answer 1.", "second"]


def test_a_page_that_asks_too_fast_waits_and_says_so(
    browser: Browser, app: RunningApp, stub: StubUpstream, narrow: PageRateLimit
) -> None:
    stub.answer = lambda _: reply(["here you are."])
    with visiting(browser, app) as visit:
        narrow._burst = 400.0
        visit.sign_in()
        visit.rest()
        narrow._burst, narrow._steps_a_second = 1.0, 3.0
        visit.ask("hello")
        visit.wait_for("does not answer at the moment")
        visit.wait_for("here you are.")
        assert visit.page.get_by_text("Error", exact=True).count() == 0


def test_what_the_page_sends_and_is_refused_is_said_in_words(browser: Browser, app: RunningApp) -> None:
    with visiting(browser, app) as visit:
        visit.sign_in()
        visit.rest()
        visit.page.evaluate(
            "fetch('/gradio_api/run/predict', {method: 'POST', body: JSON.stringify({data: Array(20000).fill(0)})})"
        )
        visit.wait_for("the conversation is too long for this page")


def test_a_page_that_goes_leaves_no_session(app: RunningApp, bounds: SessionLimits) -> None:
    wait_until(lambda: app.in_loop(lambda: drop_all(bounds)))  # of the tests before
    show(app, "alice", "a")
    show(app, "alice", "b")
    show(app, "bob", "a")
    assert post(app, LEFT, {"session_hash": "a"}, "alice").status == 204
    wait_until(lambda: kept(app) == 2)
    assert (bounds._count, len(bounds._people)) == (2, 2)
    # Nothing of it is made anew by that, and nobody goes in another's name.
    assert post(app, LEFT, {"session_hash": "c"}, "alice").status == 204
    assert kept(app) == 2
    assert post(app, LEFT, {}, "alice").status == 400


def test_a_session_in_progress_goes_when_that_has_ended(app: RunningApp, bounds: SessionLimits) -> None:
    request = PageRequest("alice", "a")
    key = bounds.begin(request, PREDICT, posts=True)
    assert key == "a"
    bounds.leave(request)
    assert bounds._count == 1
    bounds.end("alice", key)
    assert (bounds._count, bounds._people) == (0, {})
    # Who is back has not gone.
    for _ in range(2):
        assert bounds.begin(request, PREDICT, posts=True) == "a"
    bounds.leave(request)
    assert bounds.begin(request, PREDICT, posts=True) == "a"
    for _ in range(3):
        bounds.end("alice", key)
    assert bounds._count == 1
