"""HFCHAT_STORE: opens the store that its address names: memory, SQLite, Redis or Valkey."""

from pathlib import Path

from hfchat.ledger.sqlite_store import SqliteStore
from hfchat.ledger.store import Store

MEMORY = "memory://"
SQLITE = "sqlite:///"
# Valkey speaks the protocol of Redis; redis-py knows only these schemes.
_REDIS = {"redis": "redis", "rediss": "rediss", "valkey": "redis", "valkeys": "rediss", "unix": "unix"}


def open_store(url: str) -> Store:
    """The store at a checked address; it connects on first use. Raises: ValueError for another kind."""
    if url == MEMORY:
        return SqliteStore(None)
    if url.startswith(SQLITE):
        return SqliteStore(Path(url.removeprefix(SQLITE)))
    scheme, _, rest = url.partition("://")
    if scheme not in _REDIS:
        raise ValueError("it names no store")
    from hfchat.ledger.redis_store import RedisStore  # an optional requirement

    return RedisStore(f"{_REDIS[scheme]}://{rest}")
