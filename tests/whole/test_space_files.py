"""What a Space is made of: the files that `deploy` uploads, from which the program starts, and what the README says of it."""

import re
import subprocess
import sys
from pathlib import Path

import yaml

from hfchat.deploy.plan import program_files

ROOT = Path(__file__).parent.parent.parent
README = (ROOT / "README.md").read_text("utf-8")
DEPLOY = README.split("### A Hugging Face Space")[1].split("\n## ")[0]


def test_the_program_starts_from_the_files_that_are_uploaded(tmp_path: Path) -> None:
    for path, content in program_files(ROOT).items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_bytes(content)
    code = "import app; from hfchat.app import create_app; from hfchat.config.settings import load_settings as load; "
    code += "create_app(load({'SPACE_ID': 'a/b'}))"
    started = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert started.returncode == 0, started.stderr


def test_the_front_matter_names_a_python_that_every_hardware_has() -> None:
    # ZeroGPU runs 3.12 and 3.10 only, and the program needs 3.11. YAML reads 3.10 without quotes as the number 3.1.
    assert yaml.safe_load(README.split("---")[1])["python_version"] == "3.12"


def test_the_readme_promises_no_ledger_that_a_space_does_not_have() -> None:
    assert "A Space forgets its files whenever it restarts" in DEPLOY
    assert not re.search(r"/data\b|redis|persistent storage|push this repository", DEPLOY, re.IGNORECASE)
    assert "**Not by `git push`**" in DEPLOY


def test_the_readme_says_what_each_way_costs_and_how_to_duplicate_a_space() -> None:
    for words in (
        "cpu-basic",
        "PRO or Team",
        "zero-a10g",
        "means of payment",
        "?duplicate=true",
        "at that account's cost",
    ):
        assert words in DEPLOY
