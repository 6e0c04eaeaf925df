"""Behind nginx, as `hfchat/deploy/nginx.conf` sets it up, everything is as without: stop means stop, nothing is held back."""

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest
from playwright.sync_api import Browser, expect

from tests.conftest import RunningApp, free_port, make_settings, make_token, running, wait_until
from tests.support.browser import BOX, Visit, chromium, open_invite_link, visiting
from tests.support.nginx import Proxy, nginx
from tests.support.stub_upstream import DONE, Answer, StubUpstream, event, reply
from tests.whole.test_openai_clients import whole

DOORS = ["/api/ai/chat", "/v1/chat/completions"]
QUESTION = {"messages": [{"role": "user", "content": "hi"}]}
READ_TIMEOUT_S = 1


@pytest.fixture(scope="module")
def upstream() -> Iterator[StubUpstream]:
    with StubUpstream() as stub:
        yield stub


@pytest.fixture(autouse=True)
def as_before(upstream: StubUpstream) -> None:
    upstream.answer = lambda request: (
        reply(["so ", "it ", "is"]) if request["stream"] else whole({"content": "so it is"})
    )


@pytest.fixture(scope="module")
def port() -> int:
    return free_port()


@pytest.fixture(scope="module")
def app(upstream: StubUpstream, port: int) -> Iterator[RunningApp]:
    variables = {"HF_CHAT_BASE_URL": upstream.base_url, "HFCHAT_PUBLIC_URL": f"https://127.0.0.1:{port}"}
    with running(make_settings(**variables)) as served:
        yield served


@pytest.fixture(scope="module")
def proxy(app: RunningApp, port: int, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxy]:
    with nginx(tmp_path_factory.mktemp("nginx"), port, app.url) as started:
        yield started


@pytest.fixture(scope="module")
def impatient(app: RunningApp, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxy]:
    """The same, which waits for a second only."""
    with nginx(tmp_path_factory.mktemp("impatient"), free_port(), app.url, read_timeout_s=READ_TIMEOUT_S) as started:
        yield started


@contextmanager
def asking(proxy: Proxy, door: str, **more: Any) -> Iterator[httpx2.Response]:
    headers = {"Authorization": f"Bearer {make_token()}"}
    with (
        httpx2.Client(verify=proxy.trust, timeout=60) as client,
        client.stream("POST", proxy.url + door, json={**QUESTION, **more}, headers=headers) as answer,
    ):
        yield answer


@pytest.mark.parametrize("door", DOORS)
def test_a_stream_is_not_held_back(proxy: Proxy, upstream: StubUpstream, door: str) -> None:
    upstream.answer = lambda _: Answer(pieces=[event("one ")], ending="hang")
    gone = upstream.left_early
    with asking(proxy, door, stream=True) as answer:
        # The model is silent from here on: what comes, came when it was sent.
        assert "one " in next(answer.iter_text())
    wait_until(lambda: upstream.left_early == gone + 1)


def test_the_pages_events_are_not_held_back(proxy: Proxy) -> None:
    headers = {"Authorization": f"Bearer {make_token()}"}
    with (
        httpx2.Client(verify=proxy.trust, timeout=60, headers=headers) as client,
        client.stream("GET", f"{proxy.url}/gradio_api/heartbeat/abc") as answer,
    ):
        assert "ALIVE" in next(answer.iter_text())  # the next one is due in fifteen seconds


@pytest.mark.parametrize("version", ["--http1.1", "--http2"])
@pytest.mark.parametrize("streamed", [True, False], ids=["stream", "plain"])
@pytest.mark.parametrize("door", DOORS)
def test_who_leaves_before_the_first_token_stops_the_provider(
    proxy: Proxy, upstream: StubUpstream, door: str, streamed: bool, version: str
) -> None:
    upstream.answer = lambda _: Answer(before_s=3600)
    gone = upstream.left_early
    body = json.dumps({**QUESTION, "stream": streamed})
    command = ["curl", "-sN", version, "--cacert", str(proxy.folder / "fullchain.pem"), f"{proxy.url}{door}"]
    with subprocess.Popen([*command, "-H", f"Authorization: Bearer {make_token()}", "-d", body]) as curl:
        wait_until(lambda: upstream.in_progress == 1)
        curl.kill()
    wait_until(lambda: upstream.left_early == gone + 1)


@pytest.mark.parametrize("door", DOORS)
def test_comments_keep_a_stream_open_while_a_model_thinks(
    impatient: Proxy, upstream: StubUpstream, door: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hfchat.api.streaming.KEEPALIVE_S", READ_TIMEOUT_S / 5)
    thought = Answer(pieces=[event("late", finish_reason="stop"), DONE], before_s=READ_TIMEOUT_S * 1.5)
    upstream.answer = lambda _: thought
    with asking(impatient, door, stream=True) as answer:
        said = "".join(answer.iter_text())
    assert said.count(": keep-alive\n\n") >= 2
    assert "late" in said
    assert said.endswith("data: [DONE]\n\n") or "event: done" in said


def test_without_comments_it_would_be_cut(
    impatient: Proxy, upstream: StubUpstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hfchat.api.streaming.KEEPALIVE_S", READ_TIMEOUT_S * 10)
    upstream.answer = lambda _: Answer(pieces=[event("late")], before_s=READ_TIMEOUT_S * 10)
    with asking(impatient, DOORS[0], stream=True) as answer:
        assert answer.status_code == 504


@pytest.mark.parametrize("door", DOORS)
def test_pictures_of_many_bytes_and_whole_replies_pass(proxy: Proxy, upstream: StubUpstream, door: str) -> None:
    long = "word " * 150_000
    with asking(proxy, door, messages=[{"role": "user", "content": long}]) as answer:
        assert "so it is" in b"".join(answer.iter_bytes()).decode()
    assert upstream.requests[-1]["messages"][-1]["content"] == long


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """The whole browser, which asks for a page's icon, and names the page in `Referer`."""
    with chromium(whole=True) as found:
        yield found


@pytest.fixture
def visit(browser: Browser, proxy: Proxy) -> Iterator[Visit]:
    with visiting(browser, proxy, ignore_https_errors=True) as found:  # type: ignore[arg-type]
        yield found


def test_the_page_chats_streams_and_stops(visit: Visit, proxy: Proxy, upstream: StubUpstream) -> None:
    token = make_token()
    visit.sign_in(token)
    (cookie,) = visit.page.context.cookies()
    assert cookie["secure"]
    assert token not in proxy.access_log
    visit.ask("hello")
    visit.wait_for("so it is")
    upstream.answer = lambda _: Answer(pieces=[event("half a ")], ending="hang")
    gone = upstream.left_early
    visit.ask("more")
    expect(visit.page.locator(".message.bot").nth(1)).to_contain_text("half a")
    visit.page.click("button.stop-button")
    wait_until(lambda: upstream.left_early == gone + 1)
    assert visit.hosts == {f"127.0.0.1:{proxy.port}"}
    assert visit.complaints == []
    visit.ask("again")
    expect(visit.page.locator(".message.bot").nth(2)).to_contain_text("half a")
    visit.page.close()
    wait_until(lambda: upstream.left_early == gone + 2)  # Gradio looks once a second


def test_no_log_of_the_proxy_has_an_invite_links_token(
    browser: Browser, app: RunningApp, proxy: Proxy, tmp_path: Path
) -> None:
    token = make_token("ann")
    with visiting(browser, app, ignore_https_errors=True) as visit:
        open_invite_link(visit.page, f"{proxy.url}/login?token={token}")
        visit.page.wait_for_selector(BOX)
    assert "GET / " in proxy.access_log
    with nginx(tmp_path, free_port(), f"http://127.0.0.1:{free_port()}") as alone:
        answer = httpx2.get(f"{alone.url}/login?token={token}", timeout=60, verify=alone.trust)
        assert answer.status_code == 502
        with visiting(browser, app, ignore_https_errors=True) as visit:
            visit.page.goto(f"{alone.url}/login?token={token}")
            wait_until(lambda: "GET /favicon.ico" in alone.access_log)
    for written in (proxy.access_log, proxy.error_log, alone.access_log, alone.error_log):
        assert not any(part in written for part in token.split("."))
    assert "connect() failed" in alone.error_log
