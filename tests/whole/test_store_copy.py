"""A program whose disk forgets, with its copy in a bucket: what is used and revoked is the same after a restart."""

import shutil
import subprocess
import sys
from pathlib import Path

import httpx2

from hfchat.types import ADMIN_SCOPE
from tests.conftest import KEY, make_token, wait_until
from tests.support.bucket_hub import BucketHub, bucket_hub
from tests.support.fork import REPOSITORY
from tests.support.process import Process, started

BODY = {"messages": [{"role": "user", "content": "Good morning to you"}]}


def variables(hub: BucketHub, folder: Path) -> dict[str, str]:
    return {
        "JWT_SECRET": KEY,
        "HF_ENDPOINT": hub.url,
        "HF_HOME": str(folder / "hf"),
        "HUGGINGFACE_API_TOKEN": hub.token,
        # Nothing listens there, and nobody asks: what is used is the reservation of a call that fails.
        "HF_CHAT_BASE_URL": "http://127.0.0.1:9/v1",
        "HFCHAT_PATIENCE_S": "0",
        "HFCHAT_STORE_COPY": "hf://buckets/me/ledger",
        "HFCHAT_RATE": "30/day",  # a minute may end in between
    }


def ask(process: Process, token: str, method: str, path: str, **options: object) -> httpx2.Response:
    headers = {"Authorization": f"Bearer {token}"}
    return httpx2.request(method, f"{process.url}{path}", headers=headers, timeout=30, **options)  # type: ignore[arg-type]


def ready(process: Process) -> bool:
    return httpx2.get(f"{process.url}/readyz", timeout=30).status_code == 200


def command(settings: dict[str, str], folder: Path, *args: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "hfchat", *args],
        env={**settings, "PYTHONPATH": str(REPOSITORY)},
        cwd=folder,
        check=False,
        capture_output=True,
        text=True,
    )


def test_a_restart_on_an_empty_disk_forgets_nothing(tmp_path: Path) -> None:
    alice, bob, admin = make_token("alice"), make_token("bob"), make_token("root", scopes=(ADMIN_SCOPE,))
    folder = tmp_path / "disk"
    with bucket_hub(tmp_path / "hub") as hub:
        settings = variables(hub, tmp_path)
        folder.mkdir()
        with started(folder, **settings) as process:
            wait_until(lambda: ready(process.listening()), 30)
            assert ask(process, alice, "POST", "/api/ai/chat", json=BODY).status_code == 502
            before = ask(process, alice, "GET", "/api/ai/usage").json()
            assert before["rate"]["remaining"] == 29
            assert ask(process, admin, "POST", "/api/ai/revoke", json={"token": bob}).status_code == 200
            assert ask(process, bob, "GET", "/api/ai/usage").json()["error"]["code"] == "revoked_token"
            process.process.terminate()
            process.ended()
        shutil.rmtree(folder)
        folder.mkdir()
        (folder / ".env").touch()
        usage = command(settings, folder, "usage", "--csv")
        assert "alice,hfchat,1," in usage.stdout, usage.stderr
        assert command(settings, folder, "person", "carol", "--block").returncode == 0
        refused = command({**settings, "HUGGINGFACE_API_TOKEN": f"{hub.token}6"}, folder, "usage")
        assert refused.returncode == 2
        assert "HUGGINGFACE_API_TOKEN may not read and write hf://buckets/me/ledger" in refused.stderr
        with started(folder, **settings) as process:
            wait_until(lambda: ready(process.listening()), 30)
            assert ask(process, bob, "GET", "/api/ai/usage").json()["error"]["code"] == "revoked_token"
            assert ask(process, make_token("carol"), "GET", "/api/ai/usage").json()["error"]["code"] == "revoked_token"
            after = ask(process, alice, "GET", "/api/ai/usage").json()
            assert after["budget"]["remaining"] == before["budget"]["remaining"]
        assert not [line for line in process.err if hub.token in line]
