"""Local checks: is the key strong, the clock right, the ledger writable, SQLite sound, and the port free or ours?"""

import errno
import os
import socket
import time
from email.utils import parsedate_to_datetime

import httpx2

from hfchat.check.answer import Answer, good, unknown, wrong
from hfchat.check.http import FAILURES, Response, fetch
from hfchat.config.settings import Settings
from hfchat.errors import StoreUnavailable
from hfchat.ids import random_id
from hfchat.ledger.bucket import Bucket
from hfchat.ledger.copy_files import CHECKS, check_names
from hfchat.ledger.ledger import Ledger
from hfchat.ledger.open_store import MEMORY, open_store, sqlite_path
from hfchat.ledger.sqlite_file import SQLITE_VERSION, has_wal_reset_bug

# A minute is what issuers of tokens allow for clocks that differ.
MAX_CLOCK_DIFFERENCE_S = 60


def key(settings: Settings) -> Answer:
    """Whether there is a key that stays. A weak one is refused with the settings."""
    if settings.key_made_for_this_run or not settings.has_key:
        return wrong("key", "key_missing")
    if settings.signing_key is None:
        return good("key", "key_of_others")
    return good("key", "key_strong", bytes=len(settings.signing_key))


def clock(date: str | None, now: float | None = None) -> Answer:
    """Whether the clock agrees with a server's `Date` header (RFC 9110 section 6.6.1), which is in whole seconds."""
    try:
        difference_s = (time.time() if now is None else now) - parsedate_to_datetime(date or "").timestamp()
    except ValueError:
        return unknown("clock", "clock_unknown")
    if abs(difference_s) <= MAX_CLOCK_DIFFERENCE_S:
        return good("clock", "clock_right")
    return wrong("clock", "clock_ahead" if difference_s > 0 else "clock_behind", seconds=round(abs(difference_s)))


async def ask_store(settings: Settings) -> Answer:
    """Whether the ledger takes a change: an idempotency key, which is given back."""
    if settings.hfchat_store == MEMORY:
        return good("store", "store_in_memory")
    path = sqlite_path(settings.hfchat_store)
    if path is not None and not path.exists():
        folder = next(parent for parent in path.parents if parent.exists())
        writable = folder.is_dir() and os.access(folder, os.W_OK | os.X_OK)
        return (good if writable else wrong)(
            "store", "store_not_there_yet" if writable else "store_no_folder", path=str(path), folder=str(folder)
        )
    ledger = Ledger(open_store(settings.hfchat_store))  # a copy is asked about by itself
    name = f"check-{random_id(64)}"
    try:
        await ledger.begin_once(name, name, name, until=time.time() + 60)
        await ledger.end_once(name, name)
    except StoreUnavailable as failure:
        kind = type(failure.__cause__).__name__ if failure.__cause__ else type(failure).__name__
        return wrong("store", "store_refuses", kind=kind)
    finally:
        await ledger.close()
    return good("store", "store_writable")


async def ask_copy(bucket: Bucket) -> Answer:
    """Whether the ledger's copy can be read and takes a file, which is deleted again; a program that uses it is not disturbed."""
    name = f"{CHECKS}{random_id(64)}"
    try:
        if not await bucket.private():
            return wrong("copy", "copy_public")
        check_names(await bucket.names())
        await bucket.write(name, b"")
        await bucket.delete([name])
    except StoreUnavailable as failure:
        return wrong("copy", "copy_refuses", cause=str(failure.__cause__ or ""))
    return good("copy", "copy_writable")


def sqlite(version: tuple[int, int, int] = SQLITE_VERSION) -> Answer:
    """Whether SQLite has the WAL-reset bug, against which the ledger guards."""
    text = ".".join(map(str, version))
    return good("sqlite", "sqlite_guarded" if has_wal_reset_bug(version) else "sqlite_sound", version=text)


async def ask_port(client: httpx2.AsyncClient, settings: Settings) -> Answer:
    """Whether this program listens on the port already, or may."""
    name, port = settings.gradio_server_name, settings.gradio_server_port
    try:
        response = await fetch(client, "GET", f"{settings.local_url}/healthz")
    except httpx2.ConnectError:
        return _free(name, port)
    except FAILURES:
        return wrong("port", "port_taken", port=port)
    return good("port", "port_ours", port=port) if is_hfchat(response) else wrong("port", "port_taken", port=port)


def is_hfchat(response: Response) -> bool:
    """Whether an answer to `/healthz` is one of this program's."""
    return response.status == 200 and "x-request-id" in response.headers and response.object == {"status": "ok"}


def _free(name: str, port: int) -> Answer:
    family = socket.AF_INET6 if ":" in name else socket.AF_INET
    try:
        socket.create_server((name, port), family=family).close()
    except OSError as taken:
        reasons = {errno.EADDRINUSE: "port_taken", errno.EACCES: "port_forbidden"}
        return wrong("port", reasons.get(taken.errno or 0, "port_no_address"), port=port, name=name)
    return good("port", "port_free", port=port)
