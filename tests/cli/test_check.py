"""`python -m hfchat check`: each question with its answer, in the terminal's language or as JSON, and the exit status."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from hfchat.cli.main import main
from tests.conftest import KEY, free_port
from tests.support.stub_hub import HF_TOKEN, StubHub
from tests.support.stub_upstream import StubUpstream

pytestmark = pytest.mark.usefixtures("loggers_as_they_were")
ROOT = Path(__file__).parents[2]


@pytest.fixture
def hub() -> Iterator[StubHub]:
    with StubHub() as found:
        yield found


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, hub: StubHub, stub: StubUpstream) -> Path:
    """A folder whose `.env` is complete."""
    for name in list(os.environ):
        if name.startswith(("HF_", "HFCHAT_", "JWT_", "HUGGINGFACE_", "GRADIO_", "SPACE_", "LC_", "LANG")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HF_ENDPOINT", f"{hub.url}/")
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".env").write_text(
        f"JWT_SECRET={KEY}\nHUGGINGFACE_API_TOKEN={HF_TOKEN}\nHF_CHAT_BASE_URL={stub.base_url}\n"
        f"GRADIO_SERVER_PORT={free_port()}\nHF_CHAT_MODEL=a/b\n"
    )
    stub.listing.pieces[:] = [b'{"data": [{"id": "a/b", "providers": [{"provider": "groq"}]}]}']
    monkeypatch.setattr(stub.listing, "status", 200)
    return tmp_path


def test_all_is_well(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check"]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    assert all(line.startswith("ok ") for line in out.splitlines())
    assert "ok  Hugging Face token: It is valid and belongs to ana, a free account.\n" in out
    assert HF_TOKEN not in out


def test_what_is_wrong_is_said_with_its_fix_and_the_status_is_1(
    capsys: pytest.CaptureFixture[str], hub: StubHub
) -> None:
    hub.answers["GET /api/whoami-v2"] = (401, {"error": "Invalid username or password."})
    assert main(["check"]) == 1
    lines = capsys.readouterr().out.splitlines()
    place = next(number for number, line in enumerate(lines) if line.startswith("NO "))
    assert lines[place] == "NO  Hugging Face token: Hugging Face does not know it, or it has ended."
    assert lines[place + 1].startswith("    Make a new one at https://huggingface.co/settings/tokens/new?")


def test_what_cannot_be_known_is_no_fault(capsys: pytest.CaptureFixture[str], hub: StubHub) -> None:
    hub.bill = (403, {"error": "Forbidden"})
    assert main(["check"]) == 0
    assert "?   Credit: This token may not read the account's bill." in capsys.readouterr().out


@pytest.mark.parametrize(
    ("variable", "locale", "word"),
    [("LANG", "es_ES.UTF-8", "Reloj"), ("LC_ALL", "es", "Reloj"), ("LANG", "C.UTF-8", "Clock"), ("LANG", "", "Clock")],
)
def test_it_speaks_the_terminals_language(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, variable: str, locale: str, word: str
) -> None:
    monkeypatch.setenv(variable, locale)
    main(["check"])
    assert f"ok  {word}: " in capsys.readouterr().out


def test_json_is_for_programs(capsys: pytest.CaptureFixture[str], hub: StubHub) -> None:
    hub.answers["GET /api/whoami-v2"] = (429, {})
    assert main(["check", "--json"]) == 0
    body = json.loads(capsys.readouterr().out)
    assert body["ok"] is True
    assert {row["status"] for row in body["answers"]} == {"good", "unknown"}
    row = next(row for row in body["answers"] if row["question"] == "hf_token")
    assert row.keys() == {"question", "status", "title", "says", "fix"}


def test_settings_that_would_not_start_are_all_that_is_said(
    capsys: pytest.CaptureFixture[str], folder: Path, hub: StubHub
) -> None:
    (folder / ".env").write_text("JWT_SECRET=short\nHF_CHAT_BASE_URL=https://api-inference.huggingface.co\n")
    assert main(["check", "--json"]) == 1
    body = json.loads(capsys.readouterr().out)
    assert [row["question"] for row in body["answers"]] == ["settings", "settings"]
    assert hub.calls == []


def test_it_runs_as_a_command_with_nothing_else_on_stderr(folder: Path) -> None:
    environ = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-W", "error", "-m", "hfchat", "check"],
        cwd=folder, env=environ, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    assert "ok  Port" in done.stdout
