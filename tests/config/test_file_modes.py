"""Files that hold a secret: nobody else on the machine reads them, or the program says so."""

import subprocess
import sys
from pathlib import Path

import pytest

from hfchat.config.file_modes import open_to_others
from hfchat.config.settings import load_settings, secret_files
from hfchat.ledger.sqlite_store import SqliteStore
from hfchat.server import greeting
from tests.conftest import KEY
from tests.whole.test_readme import README

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="its files have no such modes")


def written(folder: Path, text: str, mode: int) -> Path:
    dotenv = folder / ".env"
    dotenv.write_text(text)
    dotenv.chmod(mode)
    return dotenv


def told(dotenv: Path) -> str:
    settings = load_settings({}, dotenv)
    return greeting(settings, secret_files(settings, dotenv))


@pytest.mark.parametrize("name", ["JWT_SECRET", "HF_TOKEN", "HUGGINGFACE_API_TOKEN"])
@pytest.mark.parametrize("mode", [0o644, 0o604, 0o602])
def test_a_secret_that_others_can_read_is_said_with_the_command(tmp_path: Path, name: str, mode: int) -> None:
    dotenv = written(tmp_path, f"{name}={KEY if name == 'JWT_SECRET' else 'hf_' + KEY}\n", mode)
    said = told(dotenv)
    assert f"run chmod 600 {dotenv}" in said
    assert KEY not in said


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o400])
def test_of_a_private_one_nothing_is_said(tmp_path: Path, mode: int) -> None:
    assert "chmod" not in told(written(tmp_path, f"JWT_SECRET={KEY}\n", mode))


@pytest.mark.parametrize("text", ["", "HFCHAT_TITLE=ours\n", "JWT_SECRET=\n"])
def test_of_one_without_a_secret_nothing_is_said(tmp_path: Path, text: str) -> None:
    assert "chmod" not in told(written(tmp_path, text, 0o644))


def test_the_password_of_a_store_is_a_secret(tmp_path: Path) -> None:
    assert "chmod" in told(written(tmp_path, "HFCHAT_STORE=redis://me:pass@host:6379/0\n", 0o644))


def test_a_ledger_that_others_can_read_is_said(tmp_path: Path) -> None:
    dotenv = written(tmp_path, f"JWT_SECRET={KEY}\nHFCHAT_STORE=sqlite:///my ledger.db\n", 0o600)
    ledger = tmp_path / "my ledger.db"
    ledger.touch()
    ledger.chmod(0o644)
    assert f"run chmod 600 '{ledger}'" in told(dotenv)
    assert open_to_others([tmp_path / "none"]) == []


@pytest.mark.anyio
async def test_the_ledger_is_made_private_whatever_the_umask(tmp_path: Path) -> None:
    ledger = SqliteStore(tmp_path / "new" / "ledger.db")
    try:
        await ledger.revoked(["x"], now=0)
    finally:
        await ledger.close()
    files = list((tmp_path / "new").iterdir())
    assert files
    assert open_to_others([tmp_path / "new", *files]) == []


@pytest.mark.parametrize("before", [False, True], ids=["new", "there"])
def test_the_readmes_lines_make_a_private_file(tmp_path: Path, before: bool) -> None:
    if before:
        written(tmp_path, "HFCHAT_TITLE=ours\n", 0o644)
    lines = [line for line in README.splitlines() if line.startswith(("touch .env", "echo "))]
    assert len(lines) == 4, "in English and in Spanish"
    for line in lines:
        command = line.replace(".venv/bin/python", f"PYTHONPATH={Path(__file__).parent.parent} {sys.executable}")
        subprocess.run(["bash", "-c", f"umask 022; {command}"], cwd=tmp_path, check=True)
    dotenv = tmp_path / ".env"
    assert dotenv.stat().st_mode & 0o777 == 0o600
    assert dotenv.read_text().count("JWT_SECRET=") == 2
