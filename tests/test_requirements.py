"""What pip installs: a Space's own set can be resolved, and the locks have what the requirements ask for."""

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.conftest import in_ci

ROOT = Path(__file__).parent.parent
SDK_VERSION = yaml.safe_load((ROOT / "README.md").read_text("utf-8").split("---")[1])["sdk_version"]
# What a Space's builder installs, in one call of pip, after it has read the front matter.
SPACE = (
    *("-r", "requirements.txt", f"gradio[oauth,mcp]=={SDK_VERSION}", "uvicorn>=0.14.0", "websockets>=10.4", "spaces"),
)
LOCKS = ("requirements.lock", "tests.lock", "tools.lock")
Run = subprocess.CompletedProcess[str]


def pip(*arguments: str) -> Run:
    command = [sys.executable, "-m", "pip", "install", "--dry-run", "--quiet", "--ignore-installed", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


def require_index() -> None:
    """Skip where pip finds not even a package that is installed here. In CI that is a failure."""
    found = pip("--no-deps", f"packaging=={version('packaging')}")
    if found.returncode and not in_ci():
        pytest.skip("no package index is reachable")
    assert found.returncode == 0, found.stderr


@pytest.mark.whole
@pytest.mark.parametrize("python", ["3.12", "3.13"])
def test_the_set_of_a_space_can_be_resolved(python: str, tmp_path: Path) -> None:
    # pip takes the files for that Python, and still reads markers as for the Python that it runs under.
    for_python = ("--python-version", python, "--only-binary=:all:", "--target", str(tmp_path / "target"))
    report = tmp_path / "report.json"
    resolved = pip("--report", str(report), *for_python, *SPACE)
    if resolved.returncode:
        require_index()
    assert resolved.returncode == 0, resolved.stderr
    installed = {
        item["metadata"]["name"].lower(): item["metadata"]["version"]
        for item in json.loads(report.read_text())["install"]
    }
    assert installed["gradio"] == SDK_VERSION
    assert {"authlib", "mcp", "spaces", "cryptography", "httptools"} <= installed.keys()


def test_ci_installs_that_very_set() -> None:
    script = (ROOT / ".ci/run").read_text("utf-8")
    quoted = " ".join(word if word.isalnum() or word[0] in "-r" else f'"{word}"' for word in SPACE)
    assert f"pip install -q {quoted.replace(SDK_VERSION, '$sdk_version')}" in script


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """The files that locks are written from, and the locks, to be changed."""
    shutil.copytree(ROOT / ".ci", tmp_path / ".ci")
    (tmp_path / "tests").mkdir()
    for name in ("requirements.txt", "tests/requirements.txt"):
        shutil.copy(ROOT / name, tmp_path / name)
    return tmp_path


def check(project: Path) -> Run:
    command = [sys.executable, ".ci/lock", "--check"]
    return subprocess.run(command, cwd=project, capture_output=True, text=True, check=False)


def test_the_locks_have_what_is_asked_for(project: Path) -> None:
    checked = check(project)
    assert (checked.returncode, checked.stderr) == (0, "")


def replace(file: str, pattern: str, by: str) -> Callable[[Path], None]:
    def change(project: Path) -> None:
        changed, count = re.subn(pattern, by, (project / file).read_text("utf-8"), count=1, flags=re.MULTILINE)
        assert count == 1
        (project / file).write_text(changed, "utf-8")

    return change


DRIFTS = {
    "a new requirement": (
        replace("requirements.txt", r"\Z", "flask>=3\n"),
        [".ci/requirements.lock does not have flask>=3", ".ci/tests.lock does not have flask>=3"],
    ),
    "a higher floor": (
        replace("tests/requirements.txt", "^redis>=8,<9$", "redis>=9,<10"),
        [r".ci/tests.lock has redis \S+, but redis<10,>=9 is asked for"],
    ),
    "a requirement that went": (
        replace("tests/requirements.txt", "^schemathesis.*\n", ""),
        [".ci/tests.lock has schemathesis, which nothing asks for any more"],
    ),
    "a pin without hashes": (
        replace(".ci/tools.lock", r"^(uv==\S+).*(\n    .*)*", r"\1"),
        [".ci/tools.lock has no hash of uv"],
    ),
    "an option": (
        replace(".ci/tests.lock", r"\A", "--pre\n"),
        [".ci/tests.lock has an option or an address in it"],
    ),
    "two locks at odds": (
        replace(".ci/requirements.lock", r"^orjson==\S+", "orjson==3.13.99"),
        [".ci/tests.lock does not have the versions of orjson that .ci/requirements.lock has"],
    ),
}


@pytest.mark.parametrize("name", DRIFTS)
def test_a_lock_that_does_not_fit_is_named(project: Path, name: str) -> None:
    change, problems = DRIFTS[name]
    change(project)
    checked = check(project)
    assert checked.returncode == 1
    *lines, advice = checked.stderr.splitlines()
    assert advice.startswith("Run .ci/lock")
    assert len(lines) == len(problems)
    for problem in problems:
        assert any(re.fullmatch(problem, line) for line in lines), lines


@pytest.mark.parametrize("file", ["requirements.txt", "tests/requirements.txt", ".ci/tools.txt"])
def test_every_requirement_has_a_floor_and_a_ceiling(file: str) -> None:
    for line in (ROOT / file).read_text("utf-8").splitlines():
        requirement = line.partition("#")[0].strip()
        if requirement and not requirement.startswith("-r"):
            assert re.fullmatch(r"[\w.\[\]-]+(==[\d.]+|>=[\d.]+,<[\d.]+)", requirement), requirement


def package(name: str, *advisories: str) -> dict[str, Any]:
    vulns = [{"id": advisory, "fix_versions": ["2.0"]} for advisory in advisories]
    return {"name": name, "version": "1.0", "vulns": vulns}


SKIPPED = {"name": "b", "skip_reason": "Dependency not found"}
REPORTS = {
    "none known": ([package("a"), SKIPPED], "", 0, "Advisories: 0 known of 1 packages; 1 could not be checked."),
    "one known": ([package("a", "CVE-1"), package("b")], "", 1, "Advisories: 1 known of 2 packages; 0 could"),
    "all skipped": ([SKIPPED], "", 0, "Advisories: the service is not reachable"),
    "no connection": (
        None,
        "Could not connect to the vulnerability feed",
        0,
        "Advisories: the service is not reachable",
    ),
    "another failure": (None, "unrecognized arguments", 1, ""),
}


@pytest.mark.parametrize("name", REPORTS)
def test_advisories_are_told_from_a_service_that_does_not_answer(tmp_path: Path, name: str) -> None:
    packages, complaint, status, line = REPORTS[name]
    report = "" if packages is None else json.dumps({"dependencies": packages})
    # In pip-audit's place, since its service is nowhere to be had in a test.
    (tmp_path / "pip_audit.py").write_text(
        f"import sys; print({report!r}, end=''); print({complaint!r}, file=sys.stderr)"
    )
    audited = subprocess.run(
        [sys.executable, ROOT / ".ci/audit"],
        env={"PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert audited.returncode == status
    assert audited.stdout.startswith(line)
    assert ("CVE-1, fixed in 2.0" in audited.stderr) == (name == "one known")
