"""`python app.py` as a process: what it prints, what it refuses, and how it stops."""

import json
import shlex
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.conftest import CALL, KEY, RunningApp, make_token, wait_until
from tests.support.process import REPOSITORY, Process, forked, started
from tests.support.raw_client import UNSET
from tests.support.stub_upstream import Answer, StubUpstream, event, reply

QUESTION = {"messages": [{"role": "user", "content": "hello there"}]}


def test_with_nothing_set_it_starts_and_says_four_things(tmp_path: Path) -> None:
    with started(tmp_path) as program:
        program.listening()
        wait_until(lambda: len(program.out) == 4)
        where, offline, sign_in, call = program.out
        assert program.err == []
        assert where == f"hfchat listens on {program.url}\n"
        assert "No Hugging Face token is set" in offline
        assert "offline stand-in" in offline
        link = sign_in.removeprefix("Sign in: ").strip()
        page = httpx2.get(link, follow_redirects=False, **CALL)
        assert (page.status_code, "Sign in as" in page.text) == (200, True)
        curl = shlex.split(call.removeprefix("Or call: "))
        completed = subprocess.run(curl, capture_output=True, text=True, check=True)
        assert "stand-in" in json.loads(completed.stdout)["reply"]
        token = link.partition("token=")[2]
        assert token not in "".join(program.err)
        assert sorted(path.name for path in tmp_path.iterdir()) == [".env", ".hfchat"]
        assert (tmp_path / ".hfchat").stat().st_mode & 0o777 == 0o700
        assert (tmp_path / ".hfchat" / "ledger.db").is_file()
        program.process.send_signal(signal.SIGINT)
        assert program.ended() == 0
        assert "Traceback" not in "".join(program.err)
        assert len(program.out) == 4


def test_a_dotenv_file_is_read(tmp_path: Path, stub: StubUpstream) -> None:
    (tmp_path / ".env").write_text(f"JWT_SECRET={KEY}\nHF_CHAT_BASE_URL={stub.base_url}\n", "utf-8")
    (tmp_path / ".env").chmod(0o644)
    with forked(tmp_path) as program:
        program.listening()
        answer = httpx2.post(
            f"{program.url}/api/ai/chat", json=QUESTION, headers={"Authorization": f"Bearer {make_token()}"}, **CALL
        )
        assert answer.json()["reply"] == "hello there "
        assert program.out[0] == f"hfchat listens on {program.url}\n"
        wait_until(lambda: len(program.out) > 2)
        assert "chmod 600 .env" in program.out[1]
        assert "token issue" in program.out[2]
        assert len(program.out) == 3


def test_an_idle_connection_is_closed_when_the_setting_says_so(tmp_path: Path) -> None:
    with forked(tmp_path, JWT_SECRET=KEY, HFCHAT_KEEP_ALIVE_S="1") as program:
        program.listening()
        with socket.create_connection(("127.0.0.1", int(program.url.rpartition(":")[2])), timeout=30) as line:
            line.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
            answer = b""
            while piece := line.recv(65_536):
                answer += piece
        assert answer.startswith(b"HTTP/1.1 200 ")
        assert b"connection: close" not in answer.lower()


def test_arguments_are_not_silently_ignored(tmp_path: Path) -> None:
    ran = subprocess.run(
        [sys.executable, REPOSITORY / "app.py", "--help"], check=False, cwd=tmp_path, capture_output=True, text=True
    )
    assert (ran.returncode, ran.stdout) == (2, "")
    assert ".env" in ran.stderr


REFUSALS: dict[str, tuple[dict[str, str], str]] = {
    "open to others without a key": ({"GRADIO_SERVER_NAME": "0.0.0.0"}, "JWT_SECRET"),
    "a short key": ({"JWT_SECRET": "short"}, "32"),
    "a sample key": ({"JWT_SECRET": "your-256-bit-secret-your-256-bit-secret"}, "python -m hfchat secret"),
    "a strange name": ({"HFCHAT_PUBLIC_ULR": "https://x.example"}, "HFCHAT_PUBLIC_URL"),
    "a name that is none here": ({"GRADIO_SERVER_NAME": "198.51.100.7", "JWT_SECRET": KEY}, "GRADIO_SERVER_NAME"),
    "a rule that would not hold": ({"JWT_ISSUER": "https://x.example"}, "JWT_ISSUER"),
    "a wrong number": ({"HF_CHAT_MAX_TOKENS": "many"}, "HF_CHAT_MAX_TOKENS"),
    "a retired address": ({"HF_CHAT_BASE_URL": "https://api-inference.huggingface.co/v1"}, "router.huggingface.co"),
}


@pytest.mark.parametrize(("variables", "said"), REFUSALS.values(), ids=REFUSALS.keys())
def test_it_refuses_to_start_unsafe_or_wrong_and_says_why(tmp_path: Path, variables: dict[str, str], said: str) -> None:
    with started(tmp_path, **variables) as program:
        assert program.ended() == 2
        assert said in "".join(program.err)
        assert next(iter(variables)) in "".join(program.err) or "JWT_SECRET" in said
        assert program.out == []
        assert "Traceback" not in "".join(program.err)


def test_a_port_that_is_taken_is_said_in_words(tmp_path: Path, stub: StubUpstream) -> None:
    with started(tmp_path, GRADIO_SERVER_PORT=str(stub.port)) as program:
        assert program.ended() == 2
        assert "GRADIO_SERVER_PORT" in "".join(program.err)
        assert "Traceback" not in "".join(program.err)


def test_on_a_space_without_a_key_everything_is_closed_but_the_set_up_page(tmp_path: Path) -> None:
    with forked(
        tmp_path, SPACE_ID="somebody/chat", SPACE_HOST="somebody-chat.hf.space", GRADIO_SERVER_NAME="127.0.0.1"
    ) as program:
        program.listening()
        assert httpx2.get(f"{program.url}/readyz", **CALL).status_code == 503
        page = httpx2.get(program.url, headers={"Accept": "text/html"}, follow_redirects=True, **CALL)
        assert (page.status_code, "JWT_SECRET" in page.text) == (200, True)
        refused = httpx2.post(
            f"{program.url}/api/ai/chat", json=QUESTION, headers={"Authorization": f"Bearer {make_token()}"}, **CALL
        )
        assert refused.status_code == 401


@pytest.mark.parametrize(
    "line", [b"x-filler: " + b"y" * 1000 + b"\r\n", b"y" * 1000], ids=["many headers", "one header"]
)
def test_a_head_that_does_not_end_is_cut_off(offline_app: RunningApp, line: bytes) -> None:
    with socket.create_connection(("127.0.0.1", offline_app.port), timeout=60) as stranger:
        stranger.sendall(b"GET / HTTP/1.1\r\nHost: x\r\nx-first: ")
        sent = 0
        with suppress(ConnectionError):
            while sent < 10_000_000:
                stranger.sendall(line)
                sent += len(line)
        assert sent < 5_000_000


def test_a_large_body_is_no_large_head(offline_app: RunningApp) -> None:
    large = {"messages": [{"role": "user", "content": "x" * 500_000}]}
    answer = httpx2.post(
        f"{offline_app.url}/api/ai/chat", json=large, headers={"Authorization": f"Bearer {make_token()}"}, **CALL
    )
    assert answer.status_code == 200


@contextmanager
def serving(tmp_path: Path, stub: StubUpstream) -> Iterator[Process]:
    with forked(tmp_path, JWT_SECRET=KEY, HF_CHAT_BASE_URL=stub.base_url) as program:
        yield program.listening()


def lets_nobody_in(program: Process) -> bool:
    try:
        socket.create_connection(("127.0.0.1", program.port)).close()
    except ConnectionRefusedError:
        return True
    return False


def test_a_reply_in_progress_is_finished_when_it_is_told_to_stop(tmp_path: Path, stub: StubUpstream) -> None:
    stub.answer = lambda _: reply(["word "] * 20, pause_s=0.1)
    auth = {"Authorization": f"Bearer {make_token()}"}
    answers: list[Any] = []
    with serving(tmp_path, stub) as program, httpx2.Client(base_url=program.url, headers=auth, **CALL) as client:
        hash_ = "abcdefghij"
        question = {"data": ["hello", [], *UNSET], "session_hash": hash_}

        def ask() -> None:
            answers.append(httpx2.post(f"{program.url}/api/ai/chat", json=QUESTION, headers=auth, **CALL).json())

        def page() -> None:
            event_id = client.post("/gradio_api/call/chat", json=question).json()["event_id"]
            answers.append(client.get(f"/gradio_api/call/chat/{event_id}").text)

        with httpx2.stream("GET", f"{program.url}/gradio_api/heartbeat/{hash_}", headers=auth, **CALL) as heartbeat:
            threads = [threading.Thread(target=ask), threading.Thread(target=page)]
            for thread in threads:
                thread.start()
            wait_until(lambda: stub.in_progress == 2)
            program.process.send_signal(signal.SIGTERM)
            with suppress(httpx2.HTTPError):
                assert all("ALIVE" in piece for piece in heartbeat.iter_text())
        wait_until(lambda: lets_nobody_in(program))
        for thread in threads:
            thread.join(60)
        assert program.ended() == -signal.SIGTERM
    whole = next(answer for answer in answers if isinstance(answer, dict))
    streamed = next(answer for answer in answers if isinstance(answer, str))
    assert whole["reply"] == "word " * 20
    assert "event: complete" in streamed
    assert "word " * 20 in streamed.split("event: complete")[1]
    errors = "".join(program.err)
    assert "Traceback" not in errors
    assert [line for line in errors.splitlines() if "ERROR" in line] == []


def test_a_connection_that_is_kept_gets_a_refusal_while_it_stops(tmp_path: Path, stub: StubUpstream) -> None:
    stub.answer = lambda _: Answer(pieces=[event("one")], ending="hang")
    with serving(tmp_path, stub) as program:
        auth = {"Authorization": f"Bearer {make_token()}"}
        body = {**QUESTION, "stream": True}
        with httpx2.stream("POST", f"{program.url}/api/ai/chat", json=body, headers=auth, **CALL) as answer:
            pieces = answer.iter_text()
            assert "one" in next(pieces)
            program.process.send_signal(signal.SIGTERM)
            wait_until(lambda: lets_nobody_in(program))
            with pytest.raises(httpx2.HTTPError):
                httpx2.post(f"{program.url}/api/ai/chat", json=QUESTION, headers=auth, **CALL)
        assert program.ended() == -signal.SIGTERM
        assert "Traceback" not in "".join(program.err)
    wait_until(lambda: stub.in_progress == 0)


def test_the_log_has_the_owners_whole_story_and_nobodys_words(tmp_path: Path, stub: StubUpstream) -> None:
    stub.answer = lambda _: Answer(403, "application/json", pieces=[b'{"error":"token lacks sufficient permissions"}'])
    token = make_token("alice")
    with serving(tmp_path, stub) as program:
        question = {"messages": [{"role": "user", "content": "my deepest fear"}]}
        error = httpx2.post(
            f"{program.url}/api/ai/chat", json=question, headers={"Authorization": f"Bearer {token}"}, **CALL
        ).json()
        httpx2.get(f"{program.url}/login?token={token}", **CALL)
        httpx2.post(f"{program.url}/login", content=f"token={token}", headers={"Origin": program.url}, **CALL)
        httpx2.post(f"{program.url}/login", content=f"token={token}x", headers={"Origin": program.url}, **CALL)
        program.process.send_signal(signal.SIGTERM)
        program.ended()
        log = "".join(program.err)
    assert error["error"]["code"] == "hf_token_forbidden"
    story = next(line for line in log.splitlines() if "turn_failed" in line)
    assert error["error"]["request_id"] in story
    assert "https://huggingface.co/settings/tokens/new?ownUserPermissions=inference.serverless.write" in story
    assert "subject=alice" in log
    assert not any(secret in log for secret in (token, token[-20:], KEY, "deepest"))


def test_what_a_stranger_repeats_is_summed_up_in_the_log(tmp_path: Path, stub: StubUpstream) -> None:
    with serving(tmp_path, stub) as program:
        with httpx2.Client(**CALL) as client:
            assert {client.get(f"{program.url}/api/ai/usage").status_code for _ in range(40)} == {401}
            answers = {client.post(f"{program.url}/login", content="token=x").status_code for _ in range(40)}
            assert answers == {401}
        program.process.send_signal(signal.SIGTERM)
        program.ended()
        lines = "".join(program.err).splitlines()
    for kind in (" refused ", " sign_in_refused "):
        said = [line for line in lines if kind in line]
        sums = [int(line.partition(" more=")[2].split()[0]) for line in said if " more=" in line]
        assert len(said) - len(sums) + sum(sums) == 40, kind
        assert len(said) < 25, kind
