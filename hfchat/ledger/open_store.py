"""HFCHAT_STORE: opens the store that its address names: memory, SQLite, Redis or Valkey."""

from pathlib import Path

from hfchat.ledger.sqlite_store import SqliteStore
from hfchat.ledger.store import Store

MEMORY = "memory://"
SQLITE = "sqlite:///"
# Valkey speaks the protocol of Redis; redis-py knows only these schemes.
REDIS_SCHEMES = {"redis": "redis", "rediss": "rediss", "valkey": "redis", "valkeys": "rediss", "unix": "unix"}


def open_store(url: str) -> Store:
    """The store at a checked address; it connects on first use. Raises: ValueError for another kind."""
    if url == MEMORY:
        return SqliteStore(None)
    if (path := sqlite_path(url)) is not None:
        return SqliteStore(path)
    scheme, _, rest = url.partition("://")
    if scheme not in REDIS_SCHEMES:
        raise ValueError("it names no store")
    from hfchat.ledger.redis_store import RedisStore  # an optional requirement

    return RedisStore(f"{REDIS_SCHEMES[scheme]}://{rest}")


def sqlite_path(url: str) -> Path | None:
    """The file of a SQLite store; None for another kind."""
    return Path(url.removeprefix(SQLITE)) if url.startswith(SQLITE) else None
