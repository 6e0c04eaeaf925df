"""SQLite store: usage exact among all processes of one machine. `SqliteStore(None)` is in memory, for one process."""

import asyncio
from asyncio import Future
from collections.abc import Collection, Sequence
from pathlib import Path

import orjson

from hfchat.ledger import sqlite_statements as statements
from hfchat.ledger.copy_files import Change, LedgerState
from hfchat.ledger.meters import MAX_LEASE_S, Counters, Meter, OnceState, Principal, Reservation, UsageTotals
from hfchat.ledger.sqlite_state import RESTORE_REVOCATION, Snapshot, read_snapshot, restore_state
from hfchat.ledger.sqlite_worker import SqliteWorker
from hfchat.types import Usage


class SqliteStore:
    """A store in one file, made on first use; None keeps it in memory."""

    in_order = True

    def __init__(self, path: Path | None) -> None:
        self._worker = SqliteWorker(path, statements.VERSIONS)

    def reserve(self, reservation: Reservation, *, now: float, lease_ends: float) -> Future[Counters]:
        """Count all of it or nothing."""
        return self._worker.run(
            lambda db: statements.reserve(db, reservation, now, lease_ends), durable=True, brief=True
        )

    def settle(
        self, reservation: Reservation, usage: Usage, *, now: float, read_counters: bool = True
    ) -> Future[Counters | None]:
        """Count what was used, once."""
        return self._worker.run(
            lambda db: statements.settle(db, reservation, usage, now, read_counters), can_wait=True, brief=True
        )

    async def renew(self, reservation_ids: Sequence[str], *, now: float, lease_ends: float) -> None:
        """Extend the leases."""
        await self._worker.run(lambda db: statements.renew(db, reservation_ids, now, lease_ends))

    def quota(self, principal: Principal, token_id: str, meters: Sequence[Meter], *, now: float) -> Future[Counters]:
        """What is used of these meters."""
        return self._worker.run(
            lambda db: statements.counters_of(db, principal, token_id, meters, now), writes=False, brief=True
        )

    async def revoke(self, token_id: str, *, now: float, until: float) -> None:
        """Refuse the token from now on."""
        await self._worker.run(lambda db: db.execute(RESTORE_REVOCATION, (token_id, until)), synced_first=True)

    async def revoked(self, token_ids: Collection[str], *, now: float) -> set[str]:
        """Those of the tokens that are revoked."""
        ids = orjson.dumps(list(token_ids)).decode()
        query = "SELECT token_id FROM revocations WHERE until > ? AND token_id IN (SELECT value FROM json_each(?))"
        rows = await self._worker.run(lambda db: db.execute(query, (now, ids)).fetchall(), writes=False)
        return {token_id for (token_id,) in rows}

    async def limits(self, subjects: Collection[str]) -> dict[str, str]:
        """The limits of those who have some."""
        names = orjson.dumps(list(subjects)).decode()
        query = "SELECT subject, limits FROM person_limits WHERE subject IN (SELECT value FROM json_each(?))"
        return dict(await self._worker.run(lambda db: db.execute(query, (names,)).fetchall(), writes=False))

    async def set_limits(self, subject: str, before: str, after: str) -> bool:
        """Set them where they are still the same."""
        return await self._worker.run(lambda db: statements.set_limits(db, subject, before, after), synced_first=True)

    async def reset(self, subject: str) -> None:
        """Forget what is used."""
        await self._worker.run(lambda db: statements.reset(db, subject), synced_first=True)

    async def begin_once(self, name: str, body: str, owner: str, *, now: float, until: float) -> OnceState:
        """Take an idempotency key."""
        return await self._worker.run(lambda db: statements.begin_once(db, name, body, owner, now, until))

    async def renew_once(self, name: str, owner: str, *, until: float) -> None:
        """Extend the owner's hold of the key."""
        update = "UPDATE answers SET until = ? WHERE name = ? AND owner = ? AND answer IS NULL"
        await self._worker.run(lambda db: db.execute(update, (until, name, owner)))

    async def store_answer(self, name: str, owner: str, answer: bytes, *, until: float) -> None:
        """Store the answer under the key."""
        update = "UPDATE answers SET until = ?, answer = ? WHERE name = ? AND owner = ? AND answer IS NULL"
        await self._worker.run(lambda db: db.execute(update, (until, answer, name, owner)))

    async def end_once(self, name: str, owner: str) -> None:
        """Free the key."""
        update = "DELETE FROM answers WHERE name = ? AND owner = ? AND answer IS NULL"
        await self._worker.run(lambda db: db.execute(update, (name, owner)))

    async def store_record(self, name: str, content: bytes, *, now: float, until: float) -> None:
        """Store it under this name."""
        await self._worker.run(lambda db: statements.store_record(db, name, content, now, until))

    async def read_record(self, name: str, *, now: float) -> bytes | None:
        """What is stored under this name."""
        query = "SELECT content FROM records WHERE name = ? AND until > ?"
        row = await self._worker.run(lambda db: db.execute(query, (name, now)).fetchone(), writes=False)
        return row[0] if row else None

    async def delete_record(self, name: str) -> None:
        """Delete it."""
        await self._worker.run(lambda db: db.execute("DELETE FROM records WHERE name = ?", (name,)))

    async def totals(self, subject: str | None, *, now: float) -> list[UsageTotals]:
        """The totals, sorted by name."""
        names = {"now": now, "latest": now + MAX_LEASE_S, "subject": subject}
        rows = await self._worker.run(lambda db: db.execute(statements.TOTALS_QUERY, names).fetchall(), writes=False)
        return [UsageTotals(*row) for row in rows]

    async def snapshot(self, *, now: float) -> Snapshot:
        """What is in force, for a copy."""
        return await self._worker.run(lambda db: read_snapshot(db, now), writes=False)

    async def restore(self, state: LedgerState) -> None:
        """Bring in what a copy has."""
        await self._worker.run(lambda db: restore_state(db, state), synced_first=True)

    async def apply(self, change: Change) -> None:
        """Make a change that a command wants, whatever was there before."""
        await self._worker.run(lambda db: statements.apply(db, change), synced_first=True)

    async def open(self) -> None:
        """Nothing: the file is opened on first use."""

    async def close(self) -> None:
        """Close the file."""
        await asyncio.to_thread(self._worker.close)
