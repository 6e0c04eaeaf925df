"""Text of PDFs, also of hostile ones: in a process of its own, within bounds, and without secrets."""

import asyncio
import base64
import io
import json
import zlib
from typing import Any

import pytest
from pypdf import PdfWriter

from hfchat.page.pdf_reader import read
from hfchat.page.pdf_text import MAX_PDF_BYTES, PdfTexts
from tests.support.rows import each_row


def pdf(*pages: str, content: bytes | None = None) -> bytes:
    """A PDF with a line of text on each page; or with this compressed content on its only page."""
    objects = ["<</Type/Catalog/Pages 2 0 R>>", "", "<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>"]
    kids, streams = [], {}
    for text in pages or ("",):
        kids.append(f"{len(objects) + 1} 0 R")
        objects.append(
            f"<</Type/Page/Parent 2 0 R/MediaBox[0 0 300 300]/Resources<</Font<</F 3 0 R>>>>/Contents {len(objects) + 2} 0 R>>"
        )
        streams[len(objects)] = content or zlib.compress(f"BT /F 12 Tf 20 200 Td ({text}) Tj ET".encode())
        objects.append("")
    objects[1] = f"<</Type/Pages/Count {len(kids)}/Kids[{' '.join(kids)}]>>"
    out, offsets = io.BytesIO(), []
    out.write(b"%PDF-1.4\n")
    for number, body in enumerate(objects):
        offsets.append(out.tell())
        stream = streams.get(number)
        out.write(f"{number + 1} 0 obj\n{body}".encode())
        if stream is not None:
            out.write(f"<</Filter/FlateDecode/Length {len(stream)}>>stream\n".encode() + stream + b"\nendstream")
        out.write(b"\nendobj\n")
    start = out.tell()
    out.write(f"xref\n0 {len(objects) + 1}\n0000000000 65535 f \n".encode())
    out.write("".join(f"{offset:010d} 00000 n \n" for offset in offsets).encode())
    out.write(f"trailer<</Size {len(objects) + 1}/Root 1 0 R>>\nstartxref\n{start}\n%%EOF".encode())
    return out.getvalue()


def locked() -> bytes:
    writer = PdfWriter(clone_from=io.BytesIO(pdf("secret")))
    writer.encrypt("password", algorithm="RC4-128")
    written = io.BytesIO()
    writer.write(written)
    return written.getvalue()


async def read_base64(data: bytes, **options: Any) -> dict[str, Any]:
    result: dict[str, Any] = json.loads(await PdfTexts(**options).read(base64.b64encode(data).decode()))
    return result


@pytest.mark.anyio
async def test_a_pdf_is_read_by_page() -> None:
    assert await read_base64(pdf("First page", "Second page")) == {
        "text": "First page\n\nSecond page",
        "pages": 2,
        "read": 2,
    }


BOUNDS = {
    "pages": ((2, 1000, 9.0), "one\n\ntwo", 2),
    "characters": ((9, 4, 9.0), "one\n", 2),
    "time": ((9, 1000, -1.0), None, 0),
}


@pytest.mark.parametrize(("bounds", "text", "count"), BOUNDS.values(), ids=BOUNDS)
def test_of_a_long_one_the_beginning_is_read(bounds: tuple[int, int, float], text: str | None, count: int) -> None:
    result = read(pdf("one", "two", "three"), *bounds)
    assert result == ({"text": text, "pages": 3, "read": count} if text else {"fault": "no_text"})


UNREADABLE = {
    "no PDF": (b"hello", "unreadable"),
    "nothing": (b"", "unreadable"),
    "cut": (pdf("a")[:60], "unreadable"),
    "locked": (locked(), "locked"),
    "a scan": (pdf(""), "no_text"),
    "unpacks to 400 MB": (pdf(content=zlib.compress(b" " * 400_000_000, 1)), "unreadable"),
}


@pytest.mark.anyio
@each_row(("data", "fault"), UNREADABLE.values(), ids=UNREADABLE)
async def test_what_has_no_text_is_said(data: bytes, fault: str) -> None:
    assert await read_base64(data) == {"fault": fault}


FORGED: dict[str, tuple[object, str]] = {
    "no text": (7, "large"),
    "no base64": ("%PDF-", "unreadable"),
    "not ASCII": ("é", "unreadable"),
    "too large": ("A" * (MAX_PDF_BYTES * 4 // 3 + 5), "large"),
}


@pytest.mark.anyio
@pytest.mark.parametrize(("given", "fault"), FORGED.values(), ids=FORGED)
async def test_what_is_forged_starts_nothing(given: object, fault: str) -> None:
    assert json.loads(await PdfTexts().read(given)) == {"fault": fault}


@pytest.mark.anyio
async def test_one_that_takes_too_long_is_ended() -> None:
    assert await read_base64(pdf("a"), kill_s=0.01) == {"fault": "unreadable"}


@pytest.mark.anyio
async def test_one_persons_files_leave_a_place_for_others() -> None:
    texts, running, most = PdfTexts(), 0, 0
    persons: list[str] = []

    async def run(data: bytes) -> dict[str, object]:
        nonlocal running, most
        persons.append(data.decode().split()[1])
        running += 1
        most = max(most, running)
        await asyncio.sleep(0.01)
        running -= 1
        return {"text": ""}

    texts._run = run  # type: ignore[method-assign]
    names = ["mallory"] * 5 + ["ann", "bob"]
    files = [(base64.b64encode(f"%PDF- {name}".encode()).decode(), name) for name in names]
    await asyncio.gather(*(texts.read(file, name) for file, name in files))
    assert most == 2
    assert {"ann", "bob"} <= set(persons[:4])
    assert persons.count("mallory") == 5
