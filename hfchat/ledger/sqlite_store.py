"""SQLite store: usage exact among all processes of one machine. `SqliteStore(None)` is in memory, for one process."""

import asyncio
import sqlite3
from asyncio import Future
from collections.abc import Collection, Sequence
from pathlib import Path

import orjson

from hfchat.ledger.copy_files import Change, LedgerState
from hfchat.ledger.meters import (
    CLOCK_STEP_S,
    LAPSED_RETENTION_S,
    MAX_ANSWER_S,
    MAX_LEASE_S,
    TOKENS,
    Counters,
    Meter,
    OnceState,
    Principal,
    Reservation,
    UsageTotals,
    after_refusal,
    first_refusal,
    window_count,
)
from hfchat.ledger.sqlite_state import RESTORE_REVOCATION, Snapshot, read_snapshot, restore_state
from hfchat.ledger.sqlite_worker import SqliteWorker
from hfchat.types import Usage

VERSIONS = (
    """
    CREATE TABLE meters (
        person TEXT NOT NULL, meter TEXT NOT NULL, starts INTEGER NOT NULL, used INTEGER NOT NULL,
        PRIMARY KEY (person, meter)
    ) WITHOUT ROWID;
    CREATE TABLE reservations (
        id TEXT PRIMARY KEY, person TEXT NOT NULL, prompt_tokens INTEGER NOT NULL, completion_tokens INTEGER NOT NULL,
        windows TEXT NOT NULL, lease_ends REAL NOT NULL
    ) WITHOUT ROWID;
    CREATE INDEX reservations_of_a_person ON reservations (person, lease_ends);
    CREATE INDEX reservations_by_lease ON reservations (lease_ends);
    CREATE TABLE people (
        person TEXT PRIMARY KEY, issuer TEXT NOT NULL, subject TEXT NOT NULL, requests INTEGER NOT NULL DEFAULT 0,
        prompt_tokens INTEGER NOT NULL DEFAULT 0, completion_tokens INTEGER NOT NULL DEFAULT 0,
        estimated_tokens INTEGER NOT NULL DEFAULT 0, last_seen REAL NOT NULL
    ) WITHOUT ROWID;
    CREATE TABLE revocations (token_id TEXT PRIMARY KEY, until REAL NOT NULL) WITHOUT ROWID
    """,
    """
    CREATE TABLE answers (
        name TEXT PRIMARY KEY, body TEXT NOT NULL, owner TEXT NOT NULL, until REAL NOT NULL, answer BLOB
    );
    CREATE INDEX answers_by_end ON answers (until)
    """,
    "CREATE TABLE person_limits (subject TEXT PRIMARY KEY, limits TEXT NOT NULL) WITHOUT ROWID",
    "CREATE TABLE records (name TEXT PRIMARY KEY, until REAL NOT NULL, content BLOB NOT NULL) WITHOUT ROWID",
)
_BARRED_AND_LIMITS = """
    SELECT EXISTS (SELECT 1 FROM revocations WHERE token_id = ? AND until > ?),
        IFNULL((SELECT limits FROM person_limits WHERE subject = ?), '')
"""
# Of a `person`, who is issuer and subject in one text.
_SUBJECT = "substr(person, instr(person, char(31)) + 1)"
# A reservation whose lease ended before it was settled counts in full, as an estimate.
_TOTALS = """
    SELECT issuer, subject, requests,
        prompt_tokens + IFNULL((SELECT SUM(prompt_tokens) FROM reservations AS r
            WHERE r.person = people.person AND (lease_ends <= :now OR lease_ends > :latest)), 0),
        completion_tokens + IFNULL((SELECT SUM(completion_tokens) FROM reservations AS r
            WHERE r.person = people.person AND (lease_ends <= :now OR lease_ends > :latest)), 0),
        estimated_tokens + IFNULL((SELECT SUM(prompt_tokens + completion_tokens) FROM reservations AS r
            WHERE r.person = people.person AND (lease_ends <= :now OR lease_ends > :latest)), 0),
        IFNULL((SELECT SUM(prompt_tokens + completion_tokens) FROM reservations AS r
            WHERE r.person = people.person AND lease_ends > :now AND lease_ends <= :latest), 0),
        last_seen
    FROM people WHERE :subject IS NULL OR subject = :subject ORDER BY subject, issuer
"""
_WRITE_COUNT = """
    INSERT INTO meters (person, meter, starts, used) VALUES (?, ?, ?, ?)
    ON CONFLICT DO UPDATE SET starts = excluded.starts, used = excluded.used
"""
_COUNT_REQUEST = f"""
    INSERT INTO people (person, issuer, subject, requests, last_seen) VALUES (?, ?, ?, 1, ?)
    ON CONFLICT DO UPDATE SET requests = requests + 1, last_seen = CASE
        WHEN last_seen > excluded.last_seen + {CLOCK_STEP_S} THEN excluded.last_seen
        ELSE MAX(last_seen, excluded.last_seen) END
"""  # noqa: S608  a constant of ours
_ADD_TO_TOTALS = """
    UPDATE people SET prompt_tokens = prompt_tokens + ?, completion_tokens = completion_tokens + ?,
        estimated_tokens = estimated_tokens + ? WHERE person = ?
"""


class SqliteStore:
    """A store in one file, made on first use; None keeps it in memory."""

    in_order = True

    def __init__(self, path: Path | None) -> None:
        self._worker = SqliteWorker(path, VERSIONS)

    def reserve(self, reservation: Reservation, *, now: float, lease_ends: float) -> Future[Counters]:
        """Count all of it or nothing."""
        return self._worker.run(lambda db: _reserve(db, reservation, now, lease_ends), durable=True, brief=True)

    def settle(
        self, reservation: Reservation, usage: Usage, *, now: float, read_counters: bool = True
    ) -> Future[Counters | None]:
        """Count what was used, once."""
        return self._worker.run(
            lambda db: _settle(db, reservation, usage, now, read_counters), can_wait=True, brief=True
        )

    async def renew(self, reservation_ids: Sequence[str], *, now: float, lease_ends: float) -> None:
        """Extend the leases."""
        await self._worker.run(lambda db: _renew(db, reservation_ids, now, lease_ends))

    def quota(self, principal: Principal, token_id: str, meters: Sequence[Meter], *, now: float) -> Future[Counters]:
        """What is used of these meters."""
        return self._worker.run(
            lambda db: _read_counters(db, principal, token_id, meters, now), writes=False, brief=True
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
        return await self._worker.run(lambda db: _set_limits(db, subject, before, after), synced_first=True)

    async def reset(self, subject: str) -> None:
        """Forget what is used."""
        await self._worker.run(lambda db: _reset(db, subject), synced_first=True)

    async def begin_once(self, name: str, body: str, owner: str, *, now: float, until: float) -> OnceState:
        """Take an idempotency key."""
        return await self._worker.run(lambda db: _begin_once(db, name, body, owner, now, until))

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
        await self._worker.run(lambda db: _store_record(db, name, content, now, until))

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
        rows = await self._worker.run(lambda db: db.execute(_TOTALS, names).fetchall(), writes=False)
        return [UsageTotals(*row) for row in rows]

    async def snapshot(self, *, now: float) -> Snapshot:
        """What is in force, for a copy."""
        return await self._worker.run(lambda db: read_snapshot(db, now), writes=False)

    async def restore(self, state: LedgerState) -> None:
        """Bring in what a copy has."""
        await self._worker.run(lambda db: restore_state(db, state), synced_first=True)

    async def apply(self, change: Change) -> None:
        """Make a change that a command wants, whatever was there before."""
        await self._worker.run(lambda db: _apply(db, change), synced_first=True)

    async def open(self) -> None:
        """Nothing: the file is opened on first use."""

    async def close(self) -> None:
        """Close the file."""
        await asyncio.to_thread(self._worker.close)


def _read_counters(
    db: sqlite3.Connection, principal: Principal, token_id: str, meters: Sequence[Meter], now: float
) -> Counters:
    revoked, limits = db.execute(_BARRED_AND_LIMITS, (token_id, now, principal.subject)).fetchone()
    stored = {
        meter: (starts, used)
        for meter, starts, used in db.execute(
            "SELECT meter, starts, used FROM meters WHERE person = ?", (principal.key,)
        )
    }
    (streams,) = db.execute(
        "SELECT COUNT(*) FROM reservations WHERE person = ? AND lease_ends > ? AND lease_ends <= ?",
        (principal.key, now, now + MAX_LEASE_S),
    ).fetchone()
    used = tuple(window_count(meter, *stored.get(meter.key, (None, 0)), now) for meter in meters)
    return Counters(used, streams, bool(revoked), limits=limits)


def _reserve(db: sqlite3.Connection, reservation: Reservation, now: float, lease_ends: float) -> Counters:
    person = reservation.principal.key
    counters = _read_counters(db, reservation.principal, reservation.token_id, reservation.meters, now)
    if counters.revoked or counters.limits != reservation.limits:
        return counters
    refused = first_refusal(reservation, counters.used, counters.streams)
    if refused is not None:
        used = after_refusal(reservation, counters.used, refused)
        _write_counts(db, reservation, used)
        (held,) = db.execute(
            "SELECT IFNULL(SUM(prompt_tokens + completion_tokens), 0) FROM reservations"
            " WHERE person = ? AND lease_ends > ? AND lease_ends <= ?",
            (person, now, now + MAX_LEASE_S),
        ).fetchone()
        return Counters(used, counters.streams, refused=refused, held=held, limits=counters.limits)
    used = tuple(
        (start, count + meter.amount) for meter, (start, count) in zip(reservation.meters, counters.used, strict=True)
    )
    _write_counts(db, reservation, used)
    windows = {
        meter.key: start for meter, (start, _) in zip(reservation.meters, used, strict=True) if meter.name == TOKENS
    }
    db.execute(
        "INSERT INTO reservations VALUES (?, ?, ?, ?, ?, ?)",
        (
            reservation.id,
            person,
            reservation.prompt_tokens,
            reservation.completion_tokens,
            orjson.dumps(windows).decode(),
            lease_ends,
        ),
    )
    db.execute(_COUNT_REQUEST, (person, reservation.principal.issuer, reservation.principal.subject, now))
    return Counters(used, counters.streams + 1, limits=counters.limits)


def _write_counts(db: sqlite3.Connection, reservation: Reservation, counts: Sequence[tuple[int, int]]) -> None:
    rows = [
        (reservation.principal.key, meter.key, *count) for meter, count in zip(reservation.meters, counts, strict=True)
    ]
    db.executemany(_WRITE_COUNT, rows)


def _settle(
    db: sqlite3.Connection, reservation: Reservation, usage: Usage, now: float, read_counters: bool
) -> Counters | None:
    rows = db.execute(
        "DELETE FROM reservations WHERE id = ? RETURNING person, prompt_tokens + completion_tokens, windows",
        (reservation.id,),
    ).fetchall()
    for person, reserved, windows in rows:
        # A window that has ended limits nobody any more.
        db.executemany(
            "UPDATE meters SET used = used + ? WHERE person = ? AND meter = ? AND starts = ?",
            [(usage.total_tokens - reserved, person, meter, starts) for meter, starts in orjson.loads(windows).items()],
        )
        estimated = usage.total_tokens if usage.estimated else 0
        db.execute(_ADD_TO_TOTALS, (usage.prompt_tokens, usage.completion_tokens, estimated, person))
    return (
        _read_counters(db, reservation.principal, reservation.token_id, reservation.meters, now)
        if read_counters
        else None
    )


def _renew(db: sqlite3.Connection, reservation_ids: Sequence[str], now: float, lease_ends: float) -> None:
    latest = now + MAX_LEASE_S
    db.executemany(
        "UPDATE reservations SET lease_ends = IIF(lease_ends > ?, ?, MAX(lease_ends, ?)) WHERE id = ?",
        [(latest, lease_ends, lease_ends, reservation_id) for reservation_id in reservation_ids],
    )
    lapsed = db.execute(
        "DELETE FROM reservations WHERE lease_ends <= ? OR lease_ends > ? RETURNING person, prompt_tokens, completion_tokens",
        (now - LAPSED_RETENTION_S, latest + LAPSED_RETENTION_S),
    ).fetchall()
    db.executemany(
        _ADD_TO_TOTALS, [(prompt, completion, prompt + completion, person) for person, prompt, completion in lapsed]
    )


def _set_limits(db: sqlite3.Connection, subject: str, before: str, after: str) -> bool:
    row = db.execute("SELECT limits FROM person_limits WHERE subject = ?", (subject,)).fetchone()
    if before != (row[0] if row else ""):
        return False
    if after:
        db.execute("INSERT OR REPLACE INTO person_limits VALUES (?, ?)", (subject, after))
    else:
        db.execute("DELETE FROM person_limits WHERE subject = ?", (subject,))
    return True


def _reset(db: sqlite3.Connection, subject: str) -> None:
    db.execute(f"DELETE FROM meters WHERE {_SUBJECT} = ?", (subject,))  # noqa: S608  a constant of ours
    # What they reserved is counted in no window any more, so settling it gives nothing back.
    db.execute(f"UPDATE reservations SET windows = '{{}}' WHERE {_SUBJECT} = ?", (subject,))  # noqa: S608


def _apply(db: sqlite3.Connection, change: Change) -> None:
    if change.kind == "revoke":
        db.execute(RESTORE_REVOCATION, (change.name, change.value))
    elif change.kind == "reset":
        _reset(db, change.name)
    elif change.value:
        db.execute("INSERT OR REPLACE INTO person_limits VALUES (?, ?)", (change.name, change.value))
    else:
        db.execute("DELETE FROM person_limits WHERE subject = ?", (change.name,))


def _begin_once(db: sqlite3.Connection, name: str, body: str, owner: str, now: float, until: float) -> OnceState:
    db.execute("DELETE FROM answers WHERE until <= ? OR until > ?", (now, now + MAX_ANSWER_S))
    row = db.execute("SELECT body, owner, answer FROM answers WHERE name = ?", (name,)).fetchone()
    if row is None:
        db.execute("INSERT INTO answers VALUES (?, ?, ?, ?, NULL)", (name, body, owner, until))
        return OnceState()
    return OnceState(running=row[2] is None and row[1] != owner, other=row[0] != body, answer=row[2])


def _store_record(db: sqlite3.Connection, name: str, content: bytes, now: float, until: float) -> None:
    db.execute("DELETE FROM records WHERE until <= ?", (now,))
    db.execute("INSERT OR REPLACE INTO records VALUES (?, ?, ?)", (name, until, content))
