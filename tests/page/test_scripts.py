"""The logic of the page's scripts that needs no browser: the tests in `tests/js`, run by the node that Playwright brings."""

import json
import os
import subprocess
from pathlib import Path

import pytest
from playwright._impl._driver import compute_driver_executable

from hfchat.page.head import constants
from hfchat.page.renderer import renderer_scripts

TESTS = Path(__file__).parents[1] / "js"
ONE_PROCESS = (
    "--test-isolation=none",
    "--test-reporter=spec",
)  # or the node that reports starts another one for the file
SLOW = {"formulas.test.js"}  # it measures what takes the processor long
FILES = [
    pytest.param(path, id=path.name, marks=[pytest.mark.whole] if path.name in SLOW else [])
    for path in sorted(TESTS.glob("*.test.js"))
]


@pytest.mark.parametrize("path", FILES)
def test_the_scripts_do_what_they_say(path: Path, tmp_path: Path) -> None:
    (node, _) = compute_driver_executable()
    renderer = tmp_path / "renderer.js"
    renderer.write_bytes(next(iter(renderer_scripts().values())))
    environment = {
        **os.environ,
        "HFCHAT_CONSTANTS": json.dumps(constants("en"), default=dict),
        "HFCHAT_RENDERER": str(renderer),
    }
    command = [node, "--no-warnings", "--import", TESTS / "setup.js", "--test", *ONE_PROCESS, path]
    run = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert run.returncode == 0, run.stdout + run.stderr
    assert "\nℹ pass 0\n" not in run.stdout
