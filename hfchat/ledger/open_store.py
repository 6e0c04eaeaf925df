"""The ledger that HFCHAT_STORE names."""

from pathlib import Path

from hfchat.ledger.sqlite_store import SqliteLedger
from hfchat.ledger.store import Ledger

MEMORY = "memory://"
SQLITE = "sqlite:///"
# Valkey speaks Redis' protocol; the client knows it by this name only.
_REDIS = {"redis": "redis", "rediss": "rediss", "valkey": "redis", "valkeys": "rediss", "unix": "unix"}


def open_ledger(url: str) -> Ledger:
    """The ledger at a checked address; it is connected to when it is first used. Raises: ValueError for another kind."""
    if url == MEMORY:
        return SqliteLedger(None)
    if url.startswith(SQLITE):
        return SqliteLedger(Path(url.removeprefix(SQLITE)))
    scheme, _, rest = url.partition("://")
    if scheme not in _REDIS:
        raise ValueError("it names no store")
    from hfchat.ledger.redis_store import RedisLedger  # an optional requirement

    return RedisLedger(f"{_REDIS[scheme]}://{rest}")
