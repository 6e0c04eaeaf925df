"""The OpenAPI document is what the running program does: Schemathesis makes requests of it, good and bad, and checks all."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.conftest import KEY, make_token
from tests.support.process import REPOSITORY, Process, forked
from tests.support.stub_upstream import Answer, StubUpstream, reply
from tests.whole.test_openai_clients import whole

pytestmark = pytest.mark.whole

# Every check is on, and a warning fails the run too. `missing_auth` warns of operations that let the run in nowhere: for
# whoever is no admin, or nobody, that is as it should be.
WARNINGS = (
    *("missing_test_data", "base_url_mismatch", "validation_mismatch", "missing_deserializer", "unused_openapi_auth"),
    *("unsupported_regex", "method_not_allowed", "unresolvable_reference", "low_valid_rate", "rate_limited"),
)


def say(request: dict[str, Any]) -> Answer:
    return reply(["Be", "cause."]) if request.get("stream") else whole({"content": "Because."})


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    folder = tmp_path_factory.mktemp("program")
    limits = {
        "HFCHAT_RATE": "1000000/minute",
        "HFCHAT_BUDGET": "1000000000/day",
        "HFCHAT_STREAMS": "1000",
        "HFCHAT_PATIENCE_S": "0",
    }
    with (
        StubUpstream(say) as stub,
        forked(folder, JWT_SECRET=KEY, HF_CHAT_BASE_URL=stub.base_url, HF_CHAT_MODELS="*", **limits) as process,
    ):
        yield process.listening()


@pytest.mark.parametrize(("who", "examples"), [("an admin", 40), ("a person", 15), ("nobody", 10)])
def test_schemathesis_finds_nothing(program: Process, tmp_path: Path, who: str, examples: int) -> None:
    token = make_token("s", scopes=("chat", "admin") if who == "an admin" else ("chat",))
    document = httpx2.get(f"{program.url}/openapi.json", headers={"Authorization": f"Bearer {token}"})
    (tmp_path / "openapi.json").write_text(document.text, "utf-8")
    warnings = [*WARNINGS, "missing_auth"] if who == "an admin" else [*WARNINGS]
    settings = f"warnings = {{ display = {json.dumps(warnings)}, fail-on = {json.dumps(warnings)} }}\n[cache]\nenabled = false\n"
    if who != "nobody":
        settings += f'[auth.openapi]\nbearer = {{ bearer = "{token}" }}\n'
    (tmp_path / "schemathesis.toml").write_text(settings, "utf-8")
    run = subprocess.run(
        [
            *(sys.executable, "-c", "from schemathesis.cli import schemathesis; schemathesis()"),
            *("--config-file", "schemathesis.toml", "run", "openapi.json", "--url", program.url, "--no-color"),
            *("--checks", "all", "--max-examples", str(examples), "--seed", "1", "--generation-database", "none"),
            *("--continue-on-failure", "--request-timeout", "10"),
        ],
        check=False,
        cwd=tmp_path,
        env={
            "PATH": "",
            "PYTHONPATH": str(REPOSITORY),
            "SCHEMATHESIS_HOOKS": "tests.support.schemathesis_hooks",
            "REVOKED_TOKEN": make_token("revoked"),
        },
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert run.returncode == 0, run.stdout + run.stderr
    assert "Tested: 7" in run.stdout
    assert httpx2.get(f"{program.url}/readyz").status_code == 200
    assert not [line for line in program.err if " ERROR " in line or "Traceback" in line]
