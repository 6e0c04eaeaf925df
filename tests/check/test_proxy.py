"""What `check` says of the public address: with a real nginx in front of the program, set up well and badly."""

import secrets
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from hfchat.auth.own_tokens import issue_token
from hfchat.check.answer import Answer
from hfchat.check.proxy import ask_proxy
from tests.conftest import KEY, RunningApp, free_port, wait_until
from tests.support.nginx import nginx_program
from tests.support.stub_hub import StubHub

pytestmark = pytest.mark.anyio
Serve = Callable[..., str]


@pytest.fixture
def nginx(tmp_path: Path) -> Iterator[Serve]:
    """Starts an nginx with these directives in front of an address; its own address."""
    program = nginx_program()
    running: list[subprocess.Popen[bytes]] = []

    def serve(to: str, *directives: str, before: str = "") -> str:
        port = free_port()
        temporary = "".join(f"{kind}_temp_path {tmp_path}/{kind};" for kind in ("proxy", "fastcgi", "uwsgi", "scgi"))
        (tmp_path / "nginx.conf").write_text(
            f"daemon off; master_process off; pid {tmp_path}/pid; events {{}}\n"
            f"http {{ access_log off; client_body_temp_path {tmp_path}/body; {temporary}\n"
            f"server {{ listen 127.0.0.1:{port}; {before} location / {{\n"
            f"proxy_pass {to}; proxy_http_version 1.1; {'; '.join(directives)}; }} }} }}\n",
            "utf-8",
        )
        running.append(
            subprocess.Popen(
                [program, "-p", tmp_path, "-c", tmp_path / "nginx.conf", "-e", tmp_path / "error.log"],
                stderr=subprocess.DEVNULL,
            )
        )

        def listens() -> bool:
            try:
                return httpx2.get(f"http://127.0.0.1:{port}/none", trust_env=False).status_code > 0
            except httpx2.HTTPError:
                return False

        wait_until(listens)
        return f"http://127.0.0.1:{port}"

    yield serve
    for process in running:
        process.terminate()
        process.wait(10)


async def answers(url: str, key: bytes | None = KEY.encode()) -> list[Answer]:
    async with httpx2.AsyncClient(timeout=5, trust_env=False) as client:
        return await ask_proxy(client, url, key)


def reasons(found: list[Answer]) -> list[str]:
    return [answer.reason for answer in found]


HOST = "proxy_set_header Host $http_host"
PROXIES: dict[str, tuple[tuple[str, ...], list[str]]] = {
    "as nginx.conf has it": ((HOST,), ["public_url_reaches", "host_passed", "streams"]),
    "without Host": (("proxy_read_timeout 60s",), ["public_url_reaches", "host_replaced", "streams"]),
    "another Host": (("proxy_set_header Host internal",), ["public_url_reaches", "host_replaced", "streams"]),
    "compressing, and so buffering": (
        (
            HOST,
            "proxy_ignore_headers X-Accel-Buffering",
            "gzip on",
            "gzip_types text/event-stream",
            "gzip_min_length 0",
        ),
        ["public_url_reaches", "host_passed", "stream_held_back"],
    ),
    "some paths only": (
        (HOST, "if ($uri ~ gradio_api) { return 404; } proxy_read_timeout 60s"),
        ["public_url_reaches", "host_passed", "proxy_odd"],
    ),
}


@pytest.mark.parametrize(("directives", "lines"), PROXIES.values(), ids=PROXIES)
async def test_a_proxy_is_asked_what_it_does(
    offline_app: RunningApp,
    nginx: Serve,
    directives: tuple[str, ...],
    lines: list[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("hfchat.check.proxy.FIRST_EVENT_S", 0.5 if "stream_held_back" in lines else 10)
    assert reasons(await answers(nginx(offline_app.url, *directives))) == lines


async def test_the_program_itself_needs_no_proxy(offline_app: RunningApp) -> None:
    found = await answers(offline_app.url)
    assert reasons(found) == ["public_url_reaches", "host_passed", "streams"]
    assert all(answer.status == "good" for answer in found)


async def test_the_token_that_is_sent_is_good_for_no_turn(
    offline_app: RunningApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[str] = []

    def issue(*args: Any, **options: Any) -> str:
        sent.append(issue_token(*args, **options))
        return sent[-1]

    monkeypatch.setattr("hfchat.check.proxy.issue_token", issue)
    assert reasons(await answers(offline_app.url))[-1] == "streams"
    body = {"messages": [{"role": "user", "content": "hello"}]}
    async with httpx2.AsyncClient(trust_env=False) as client:
        for token, code in zip(sent, ["expired_token", "budget_exceeded"], strict=True):
            headers = {"authorization": f"Bearer {token}"}
            response = await client.post(f"{offline_app.url}/api/ai/chat", json=body, headers=headers)
            assert response.json()["error"]["code"] == code


async def test_without_a_key_of_ours_it_is_asked_what_needs_none(offline_app: RunningApp) -> None:
    assert reasons(await answers(offline_app.url, None)) == ["public_url_reaches", "host_passed"]


async def test_an_hfchat_of_another_key_is_not_ours_and_gets_no_token_of_ours(offline_app: RunningApp) -> None:
    (answer,) = await answers(offline_app.url, secrets.token_bytes(32))
    assert (answer.status, answer.reason) == ("wrong", "public_url_other_key")


async def test_another_server_gets_no_token_at_all(nginx: Serve) -> None:
    with StubHub() as other:
        other.answers["GET /healthz"] = (200, {"status": "ok"})
        assert reasons(await answers(other.url)) == ["public_url_other"]
        assert other.authorizations == {None}


async def test_an_address_that_leads_elsewhere_says_where(nginx: Serve) -> None:
    url = nginx("http://127.0.0.1:9", HOST, before="return 301 https://chat.example.org$request_uri;")
    (answer,) = await answers(url)
    assert answer.reason == "public_url_redirects"
    assert "https://chat.example.org." in answer.words("en").says


async def test_an_address_that_nobody_answers_is_wrong(nginx: Serve) -> None:
    assert reasons(await answers("http://127.0.0.1:9")) == ["public_url_unreachable"]
    assert reasons(await answers(nginx("http://127.0.0.1:9", HOST))) == ["public_url_other"]
