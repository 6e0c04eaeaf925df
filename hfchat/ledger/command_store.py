"""Command store: the copy of a ledger for a command, which may run on another machine than the program.

It reads the state in force, and leaves what is to be changed as a file, which the program applies within seconds, when it next
lists the bucket, or at its next start. The command needs no claim, so nobody is interrupted.
"""

import time
from contextlib import suppress

from hfchat.errors import StoreUnavailable
from hfchat.ids import random_id
from hfchat.ledger.bucket import Bucket
from hfchat.ledger.copy_claim import changes_in
from hfchat.ledger.copy_files import (
    Change,
    change_name,
    check_names,
    latest_state,
    pack_change,
    read_change,
    read_state,
)
from hfchat.ledger.sqlite_store import SqliteStore

# The program may delete a file between its listing and its reading, as it has written a newer one.
READS = 3


class CommandStore(SqliteStore):
    """The copy in memory, as it was when it was opened. A change returns once the bucket has it. `open` it."""

    def __init__(self, bucket: Bucket) -> None:
        super().__init__(None)
        self._bucket = bucket

    async def open(self) -> None:
        """Read the copy. Raises: StoreUnavailable."""
        for _ in range(READS - 1):
            with suppress(StoreUnavailable):
                await self._read()
                return
        await self._read()

    async def revoke(self, token_id: str, *, now: float, until: float) -> None:
        """Have the token refused."""
        await self._write(Change("revoke", token_id, until))

    async def set_limits(self, subject: str, before: str, after: str) -> bool:
        """Have them set, where they were the same when this was opened or last set."""
        if (await self.limits([subject])).get(subject, "") != before:
            return False
        await self._write(Change("limits", subject, after))
        return True

    async def reset(self, subject: str) -> None:
        """Have forgotten what is used."""
        await self._write(Change("reset", subject))

    async def _read(self) -> None:
        names = await self._bucket.names()
        check_names(names)
        if (state := latest_state(names)) is not None:
            copy = read_state(await self._bucket.read(state))
            await self.restore(copy)
            names = [name for name in names if name not in copy.changes]
        for name in changes_in(names):
            await self.apply(read_change(await self._bucket.read(name)))

    async def _write(self, change: Change) -> None:
        await self._bucket.write(change_name(time.time_ns(), random_id(64)), pack_change(change))
        await self.apply(change)
