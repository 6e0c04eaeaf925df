"""What a Space is made of: the README's command uploads these files and no others, and the program starts from them."""

import base64
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parent.parent.parent
README = (ROOT / "README.md").read_text("utf-8")
DEPLOY = README.split("### A Hugging Face Space")[1].split("\n## ")[0]
# Beside the program on the machine of whoever uploads it, and nobody else's business.
PRIVATE = (
    ".env",
    ".hfchat/ledger.db",
    ".venv/bin/python",
    "hfchat/__pycache__/app.cpython-312.pyc",
    "tests/test_client.py",
)


class Hub(BaseHTTPRequestHandler):
    """The Hub as far as an upload goes: it takes a Space's files in a commit."""

    files: dict[str, bytes]
    commits: list[str]

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        if self.path.endswith("/repos/create"):
            self.answer({"url": "https://huggingface.co/spaces/OWNER/SPACE", "id": "1"})
        elif "/preupload/" in self.path:
            paths = [file["path"] for file in json.loads(body)["files"]]
            modes = [{"path": path, "uploadMode": "regular", "shouldIgnore": False} for path in paths]
            self.answer({"files": modes})
        elif "/commit/" in self.path:
            self.commits.append(self.path)
            for line in map(json.loads, body.splitlines()):
                if line["key"] == "file":
                    self.files[line["value"]["path"]] = base64.b64decode(line["value"]["content"])
            self.answer(
                {"commitUrl": "https://huggingface.co/spaces/OWNER/SPACE/commit/1", "commitOid": "1", "success": True}
            )
        else:
            self.answer({"valid": True})

    def do_GET(self) -> None:
        self.answer({"id": "OWNER/SPACE", "siblings": [], "sha": "0", "name": "owner", "type": "user"})

    def answer(self, body: dict[str, Any]) -> None:
        content = json.dumps(body).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def hub() -> Iterator[tuple[str, type[Hub]]]:
    """Its address, and what it was sent."""
    heard = type("Heard", (Hub,), {"files": {}, "commits": []})
    with ThreadingHTTPServer(("127.0.0.1", 0), heard) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}", heard
        server.shutdown()


def tracked(*paths: str) -> set[str]:
    listed = subprocess.run(["git", "ls-files", *paths], cwd=ROOT, capture_output=True, text=True, check=True)
    return set(listed.stdout.split())


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A clone of the project as it is now, with what its owner has beside it."""
    clone = tmp_path / "clone"
    for path in tracked():
        (clone / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / path, clone / path)
    for path in PRIVATE:
        (clone / path).parent.mkdir(parents=True, exist_ok=True)
        (clone / path).write_text("private")
    return clone


def test_the_upload_is_one_commit_of_what_the_program_starts_from(
    hub: tuple[str, type[Hub]], folder: Path, tmp_path: Path
) -> None:
    url, heard = hub
    (command,) = re.findall(r"^\.venv/bin/hf (upload (?:.*\\\n)*.*)", DEPLOY, re.MULTILINE)
    program = [sys.executable, "-m", "huggingface_hub.cli.hf", *shlex.split(command.replace("\\\n", " "))]
    variables = {
        "HF_ENDPOINT": url, "HF_TOKEN": "hf_x", "HF_HOME": str(tmp_path / "home"), "HF_HUB_DISABLE_XET": "1",
        "HF_HUB_DISABLE_TELEMETRY": "1", "PATH": os.environ["PATH"],
    }  # fmt: skip
    uploaded = subprocess.run(program, cwd=folder, env=variables, capture_output=True, text=True, check=False)
    assert uploaded.returncode == 0, uploaded.stderr
    assert len(heard.commits) == 1
    assert heard.commits[0].startswith("/api/spaces/OWNER/SPACE/commit/")
    assert set(heard.files) == {"README.md", "requirements.txt", "app.py", ".github/page.png"} | tracked("hfchat")

    space = tmp_path / "space"
    for path, content in heard.files.items():
        (space / path).parent.mkdir(parents=True, exist_ok=True)
        (space / path).write_bytes(content)
    code = "import app; from hfchat.app import create_app; from hfchat.config.settings import load_settings as load; "
    code += "create_app(load({'SPACE_ID': 'a/b'}))"
    started = subprocess.run([sys.executable, "-c", code], cwd=space, capture_output=True, text=True, check=False)
    assert started.returncode == 0, started.stderr


def test_the_front_matter_names_a_python_that_every_hardware_has() -> None:
    # ZeroGPU runs 3.12 and 3.10 only, and the program needs 3.11. YAML reads 3.10 without quotes as the number 3.1.
    assert yaml.safe_load(README.split("---")[1])["python_version"] == "3.12"


def test_the_readme_promises_no_ledger_that_a_space_does_not_have() -> None:
    assert "A Space forgets its files whenever it restarts" in DEPLOY
    assert not re.search(r"/data\b|redis|persistent storage|push this repository", DEPLOY, re.IGNORECASE)
    assert "Not by `git push`" in DEPLOY
