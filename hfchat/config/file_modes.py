"""File permissions: warns of files with secrets or usage that other users of the machine can read."""

import os
import shlex
import stat
from collections.abc import Iterable
from pathlib import Path

_OTHERS = stat.S_IROTH | stat.S_IWOTH


def open_to_others(files: Iterable[Path]) -> list[str]:
    """A sentence for each file that others can read or write, with the command to run. None on Windows, without such modes."""
    return [
        f"Other users of this machine can read {path}: run chmod 600 {shlex.quote(str(path))}"
        for path in files
        if os.name == "posix" and _mode(path) & _OTHERS
    ]


def _mode(path: Path) -> int:
    try:
        return path.stat().st_mode
    except OSError:
        return 0  # there is none
