"""PDF text extraction: a program of its own, from standard input to standard output, as JSON. It imports nothing of hfchat.

PDFs of strangers may take any time and memory, so `pdf_text.py` runs it as a process with bounds of both, and without secrets.
"""

import io
import json
import logging
import sys
import time

from pypdf import PdfReader

MAX_MEMORY_BYTES = 1024 * 1024 * 1024


def bound(seconds: int) -> None:
    """Bounds of memory and processor time, where the system has such."""
    try:
        import resource
    except ImportError:  # Windows: the time that the caller waits is the only bound
        return
    resource.setrlimit(resource.RLIMIT_AS, (MAX_MEMORY_BYTES, MAX_MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))
    resource.setrlimit(resource.RLIMIT_NOFILE, (16, 16))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))


def read(data: bytes, max_pages: int, max_chars: int, seconds: float) -> dict[str, object]:
    """`{"text", "pages", "read"}`: the text of the first pages, as many as were read in time; or `{"fault"}`."""
    ends = time.monotonic() + seconds
    reader = PdfReader(io.BytesIO(data))
    if reader.is_encrypted and not reader.decrypt(""):
        return {"fault": "locked"}
    pages, texts, chars = len(reader.pages), [], 0
    for page in reader.pages[:max_pages]:
        if chars > max_chars or time.monotonic() > ends:
            break
        texts.append(page.extract_text().strip())
        chars += len(texts[-1])
    text = "\n\n".join(texts)[:max_chars].encode(errors="replace").decode()
    return {"text": text, "pages": pages, "read": len(texts)} if text.strip() else {"fault": "no_text"}


def main() -> None:
    """Arguments: the most pages, characters, and seconds."""
    max_pages, max_chars, seconds = map(int, sys.argv[1:])
    logging.disable()
    bound(seconds + 2)
    try:
        result = read(sys.stdin.buffer.read(), max_pages, max_chars, seconds)
    except (Exception, RecursionError, MemoryError):
        result = {"fault": "unreadable"}
    sys.stdout.write(json.dumps(result))


if __name__ == "__main__":
    main()
