"""Text of a PDF for the page, from a process of its own that is ended when it takes too long. Nothing is stored on disk."""

import asyncio
import base64
import binascii
import json
import sys
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from weakref import WeakValueDictionary

_READER = Path(__file__).with_name("pdf_reader.py")
# As base64 it must fit into what a page's request may have (4 MiB).
MAX_PDF_BYTES = 3_000_000
MAX_PAGES = 500
MAX_TEXT_CHARS = 1_000_000
# A book of 500 pages takes about 10 s on a core that is shared.
READ_S = 20
# After that it is ended from outside: a page that never ends does not look at the clock.
KILL_S = READ_S + 5
MAX_AT_ONCE = 2


def _environment() -> dict[str, str]:
    """Where pypdf lies, which may be a user's own folder; and nothing of the server's environment, where the secrets are."""
    spec = find_spec("pypdf")
    return {"PYTHONPATH": str(Path(spec.origin).parents[1])} if spec and spec.origin else {}


class PdfTexts:
    """Reads PDFs, a few at a time. Used in one event loop."""

    def __init__(self, *, kill_s: float = KILL_S) -> None:
        self._kill_s = kill_s
        self._places = asyncio.Semaphore(MAX_AT_ONCE)
        # While somebody holds one: each person waits for one place at most, so that nobody's files keep others waiting.
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def read(self, pdf_base64: object, person: str = "") -> str:
        """JSON for the page's script: `text`, `pages` and how many of them were `read`; or `fault`: `large`, `locked`, `no_text`,
        `unreadable`.
        """
        if not isinstance(pdf_base64, str) or len(pdf_base64) > MAX_PDF_BYTES * 4 // 3 + 4:
            return json.dumps({"fault": "large"})
        try:
            data = base64.b64decode(pdf_base64, validate=True)
        except (binascii.Error, ValueError):
            return json.dumps({"fault": "unreadable"})
        if b"%PDF-" not in data[:1024]:
            return json.dumps({"fault": "unreadable"})
        lock = self._locks.setdefault(person, asyncio.Lock())
        async with lock, self._places:
            result = await self._run(data)
        return json.dumps(result)

    async def _run(self, data: bytes) -> dict[str, object]:
        limits = map(str, (MAX_PAGES, MAX_TEXT_CHARS, READ_S))
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-s", "-P", str(_READER), *limits),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            env=_environment(),
        )
        try:
            async with asyncio.timeout(self._kill_s):
                output, _ = await process.communicate(data)
            result = json.loads(output)
        except (TimeoutError, ValueError, OSError):
            return {"fault": "unreadable"}
        else:
            return result if isinstance(result, dict) else {"fault": "unreadable"}
        finally:
            if process.returncode is None:
                with suppress(ProcessLookupError):
                    process.kill()
                await asyncio.shield(process.wait())
