"""ZeroGPU: the platform's package is imported there and only there, before gradio, and told of one GPU function."""

import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from hfchat.zero_gpu import start_zero_gpu
from tests.conftest import free_port

ROOT = Path(__file__).parent.parent
# As the package of the platform does: it counts what is decorated, and reports when it is told to.
SPACES = """
import sys
from types import SimpleNamespace
assert "gradio" not in sys.modules, "gradio came first"
print("imported", flush=True)
def GPU(task):
    print("decorated", flush=True)
    return task
zero = SimpleNamespace(startup=lambda: print("reported", flush=True))
"""
# The server, as far as the import of the application.
START = "import hfchat.server, sys; sys.argv = ['app.py']; sys.modules['hfchat.app'] = None; hfchat.server.main()"


def started(folder: Path, **variables: str) -> list[str]:
    (folder / "spaces.py").write_text(SPACES)
    (folder / ".env").touch()
    environ = {"PYTHONPATH": f"{folder}:{ROOT}", "GRADIO_SERVER_PORT": str(free_port()), "PATH": "", **variables}
    done = subprocess.run(
        [sys.executable, "-c", START], cwd=folder, env=environ, capture_output=True, text=True, check=False, timeout=60
    )
    assert "hfchat.app" in done.stderr  # it came as far as that
    return done.stdout.split()


@pytest.mark.parametrize("value", ["true", "True", "1", "t"])
def test_the_function_is_reported_before_the_program_is_put_together(
    monkeypatch: pytest.MonkeyPatch, value: str
) -> None:
    events: list[str] = []
    spaces: Any = ModuleType("spaces")
    spaces.GPU = lambda task: events.append("decorated") or task
    spaces.zero = ModuleType("spaces.zero")
    spaces.zero.startup = lambda: events.append("reported")
    monkeypatch.setitem(sys.modules, "spaces", spaces)
    start_zero_gpu({"SPACES_ZERO_GPU": value})
    assert events == ["decorated", "reported"]


@pytest.mark.parametrize("environ", [{}, {"SPACES_ZERO_GPU": ""}, {"SPACES_ZERO_GPU": "false"}, {"SPACE_ID": "a/b"}])
def test_elsewhere_nothing_of_it_is_imported(monkeypatch: pytest.MonkeyPatch, environ: dict[str, str]) -> None:
    monkeypatch.setitem(sys.modules, "spaces", None)  # to import it would fail
    start_zero_gpu(environ)


def test_the_server_imports_it_before_gradio(tmp_path: Path) -> None:
    assert started(tmp_path, SPACES_ZERO_GPU="true") == [
        "imported",
        "decorated",
        "reported",
    ]
    assert started(tmp_path) == []
