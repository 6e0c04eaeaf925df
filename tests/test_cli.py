"""`python -m hfchat`: answers alone on stdout, faults on stderr, and the promised exit status."""

import base64
import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

from hfchat.cli import main
from hfchat.settings import load_settings
from hfchat.tokens import verify_token
from tests.conftest import KEY, make_token

REPOSITORY = Path(__file__).parent.parent
DAY_S = 86_400


@pytest.fixture(autouse=True)
def a_folder_with_a_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Commands read the environment and the `.env` of the folder that they are called in."""
    for name in list(os.environ):
        if name.startswith(("HF_", "HFCHAT_", "JWT_", "HUGGINGFACE_", "GRADIO_", "SPACE_")):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".env").write_text(f"JWT_SECRET={KEY}\n", "utf-8")
    return tmp_path


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    status = main(list(arguments))
    said = capsys.readouterr()
    return status, said.out, said.err


def issued(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    status, out, err = run(capsys, "token", "issue", *arguments)
    assert status == 0
    # A link to this machine alone says so, beside the answer.
    assert ("HFCHAT_PUBLIC_URL" in err) == ("http://127.0.0.1" in out)
    assert re.fullmatch(r"\S+\n", out), "the answer is alone on its line"
    return out.strip()


def test_a_token_is_issued_for_so_many_days(capsys: pytest.CaptureFixture[str]) -> None:
    caller = verify_token(KEY, issued(capsys, "alice", "--days", "30"))
    assert (caller.subject, set(caller.scopes)) == ("alice", {"chat"})
    assert abs(caller.expires_at - time.time() - 30 * DAY_S) < 60


def test_a_part_of_a_day_is_a_time_too(capsys: pytest.CaptureFixture[str]) -> None:
    hour = verify_token(KEY, issued(capsys, "alice", "--days", "0.0416667")).expires_at - time.time()
    assert abs(hour - 3600) < 60
    moment = verify_token(KEY, issued(capsys, "alice", "--days", "0.00001157407")).expires_at - time.time()
    assert 0 < moment <= 1


def test_a_scope_is_written_into_the_token(capsys: pytest.CaptureFixture[str]) -> None:
    token = issued(capsys, "root", "--days", "1", "--scope", "chat admin")
    assert verify_token(KEY, token).scopes == {"chat", "admin"}


LINKS = [
    ("", "http://127.0.0.1:7860/login?token="),
    ("GRADIO_SERVER_PORT=8080", "http://127.0.0.1:8080/login?token="),
    ("HFCHAT_PUBLIC_URL=https://chat.example.org/", "https://chat.example.org/login?token="),
]


@pytest.mark.parametrize(("variable", "beginning"), LINKS, ids=["local", "port", "public"])
def test_a_link_signs_in(
    capsys: pytest.CaptureFixture[str], a_folder_with_a_key: Path, variable: str, beginning: str
) -> None:
    with (a_folder_with_a_key / ".env").open("a") as file:
        file.write(f"{variable}\n")
    link = issued(capsys, "alice", "--days", "1", "--link")
    assert link.startswith(beginning)
    assert verify_token(KEY, link.removeprefix(beginning)).subject == "alice"


def test_a_good_token_is_explained(capsys: pytest.CaptureFixture[str]) -> None:
    token = make_token("José", ttl_s=60, scopes=("chat", "admin"), now=int(time.time()) // 60 * 60)
    caller = verify_token(KEY, token)
    status, out, err = run(capsys, "token", "show", f" {token}\n")
    assert status == 0
    # A link to this machine alone says so, beside the answer.
    assert ("HFCHAT_PUBLIC_URL" in err) == ("http://127.0.0.1" in out)
    assert re.fullmatch(r"Good until \d{4}-\d\d-\d\d \d\d:\d\d UTC\.", out.splitlines()[0])
    assert out.splitlines()[1:] == ["subject: José", "scope: admin chat", f"jti: {caller.token_id}"]


def test_a_token_until_the_end_of_time_is_explained(capsys: pytest.CaptureFixture[str]) -> None:
    token = make_token(ttl_s=253_402_300_799 - 1, now=1)
    assert run(capsys, "token", "show", token)[1].startswith("Good until 9999-12-31 23:59 UTC.")


def with_other_claims(token: str) -> str:
    header, _, signature = token.split(".")
    claims = json.dumps({"sub": "root", "iss": "hfchat", "iat": 1, "exp": 9_999_999_999, "jti": "x"}).encode()
    return f"{header}.{base64.urlsafe_b64encode(claims).rstrip(b'=').decode()}.{signature}"


BAD = [
    (make_token(ttl_s=60, now=1000), "No: this token has expired."),
    (with_other_claims(make_token()), "Its signature was not made with the key of this server."),
    ("abc", "It is not a whole token"),
    ("", "It is not a whole token"),
    ("a" * 9000, "It is longer than any token of ours."),
    (make_token(now=int(time.time()) + 600), "It is not valid yet."),
]


@pytest.mark.parametrize(("token", "why"), BAD, ids=["expired", "forged", "no token", "empty", "long", "early"])
def test_a_bad_token_is_a_no_and_a_reason(capsys: pytest.CaptureFixture[str], token: str, why: str) -> None:
    status, out, err = run(capsys, "token", "show", token)
    assert (status, err) == (1, "")
    assert out.startswith("No: ")
    assert why in out
    assert len(out.splitlines()) == 1


def test_a_fresh_secret_is_taken_as_a_key(capsys: pytest.CaptureFixture[str], a_folder_with_a_key: Path) -> None:
    (a_folder_with_a_key / ".env").unlink()
    status, out, err = run(capsys, "secret")
    assert (status, err) == (0, "")
    settings = load_settings({"JWT_SECRET": out.removesuffix("\n"), "GRADIO_SERVER_NAME": "0.0.0.0"})
    assert settings.jwt_secret is not None
    assert settings.jwt_secret.get_secret_value() == out.strip()
    assert run(capsys, "secret")[1] != out


@pytest.mark.parametrize("command", [["issue", "alice", "--days", "1"], ["show", "abc"]], ids=["issue", "show"])
def test_without_a_key_it_says_what_to_do(
    capsys: pytest.CaptureFixture[str], a_folder_with_a_key: Path, command: list[str]
) -> None:
    (a_folder_with_a_key / ".env").unlink()
    status, out, err = run(capsys, "token", *command)
    assert (status, out) == (2, "")
    assert err.startswith("JWT_SECRET: it is not set")
    assert "python -m hfchat secret" in err
    assert ".env" in err


def test_a_wrong_setting_is_said(capsys: pytest.CaptureFixture[str], a_folder_with_a_key: Path) -> None:
    (a_folder_with_a_key / ".env").write_text("JWT_SECRET=short\nHF_CHAT_MODLE=a\n", "utf-8")
    status, out, err = run(capsys, "token", "issue", "alice", "--days", "1")
    assert (status, out) == (2, "")
    assert [line.partition(":")[0] for line in err.splitlines()] == ["HF_CHAT_MODLE", "JWT_SECRET"]


USAGE: dict[str, tuple[list[str], str]] = {
    "nothing": ([], "COMMAND"),
    "unknown command": (["tokens"], "invalid choice"),
    "token alone": (["token"], "COMMAND"),
    "no subject": (["token", "issue", "--days", "1"], "subject"),
    "no days": (["token", "issue", "alice"], "--days"),
    "days a word": (["token", "issue", "alice", "--days", "many"], "--days: it must be a number more than 0"),
    "no time": (["token", "issue", "alice", "--days", "0"], "at most 3660"),
    "time back": (["token", "issue", "alice", "--days=-1"], "at most 3660"),
    "time without end": (["token", "issue", "alice", "--days", "inf"], "at most 3660"),
    "days nan": (["token", "issue", "alice", "--days", "nan"], "at most 3660"),
    "too long": (["token", "issue", "alice", "--days", "3661"], "at most 3660"),
    "unknown option": (["secret", "--long"], "--long"),
    "show without a token": (["token", "show"], "token"),
}


@pytest.mark.parametrize(("arguments", "said"), USAGE.values(), ids=USAGE)
def test_a_wrong_usage_is_told(capsys: pytest.CaptureFixture[str], arguments: list[str], said: str) -> None:
    with pytest.raises(SystemExit) as left:
        main(arguments)
    shown = capsys.readouterr()
    assert (left.value.code, shown.out) == (2, "")
    assert shown.err.startswith("usage: python -m hfchat")
    assert said in shown.err


REFUSED = {
    "empty subject": (["", "--days", "1"], "subject"),
    "line break in the subject": (["a\nb", "--days", "1"], "subject"),
    "long subject": (["a" * 256, "--days", "1"], "subject"),
    "unknown scope": (["alice", "--days", "1", "--scope", "chat root"], "chat, admin"),
    "no scope": (["alice", "--days", "1", "--scope", ""], "chat, admin"),
}


@pytest.mark.parametrize(("arguments", "said"), REFUSED.values(), ids=REFUSED)
def test_a_token_that_would_be_refused_is_not_issued(
    capsys: pytest.CaptureFixture[str], arguments: list[str], said: str
) -> None:
    status, out, err = run(capsys, "token", "issue", *arguments)
    assert (status, out) == (2, "")
    assert said in err


def test_help_is_an_answer(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        main(["token", "issue", "--help"])
    assert left.value.code == 0
    assert "--days" in capsys.readouterr().out


def test_it_runs_as_a_module_and_exits_with_the_status(a_folder_with_a_key: Path) -> None:
    environ = {name: value for name, value in os.environ.items() if name in ("PATH", "SYSTEMROOT")}
    environ |= {"PYTHONPATH": str(REPOSITORY), "PYTHONWARNINGS": "error"}
    command = [sys.executable, "-m", "hfchat", "token", "show"]
    for token, status in ((make_token(), 0), (make_token(now=1000), 1)):
        done = subprocess.run(
            [*command, token],
            cwd=a_folder_with_a_key,
            env=environ,
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
        assert (done.returncode, done.stderr) == (status, "")
        assert done.stdout.startswith("Good until" if status == 0 else "No: ")
