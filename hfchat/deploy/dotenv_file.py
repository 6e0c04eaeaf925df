"""The file `.env`: what is written in it, and a new JWT_SECRET, written so that no cut leaves half a file."""

import os
import re
import tempfile
from pathlib import Path

from dotenv import dotenv_values

_EMPTY = re.compile(r"^[ \t]*(export[ \t]+)?JWT_SECRET[ \t]*=[ \t]*(?:(?:''|\"\")[ \t]*)?\r?$", re.MULTILINE)


def read_dotenv(path: Path) -> dict[str, str]:
    """The values that are not empty; none where there is no file. It was checked before by `load_settings`."""
    if not path.is_file():
        return {}
    values = dotenv_values(path, interpolate=False, encoding="utf-8-sig")
    return {name: value.strip() for name, value in values.items() if value and value.strip()}


def write_jwt_secret(path: Path, secret: str) -> None:
    """Write the secret into the file, in place of an empty one or at its end. Only the owner may read the file from then on."""
    path = path.resolve()
    text = path.read_text("utf-8") if path.is_file() else ""
    line, empty = f"JWT_SECRET={secret}", list(_EMPTY.finditer(text))
    if empty:
        text = text[: empty[-1].start()] + line + text[empty[-1].end() :]
    else:
        text += f"\n{line}\n" if text and not text.endswith("\n") else f"{line}\n"
    descriptor, name = tempfile.mkstemp(prefix=".env.", dir=path.parent)  # of mode 600
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink()
        raise
