"""SQLite statements of the ledger: its tables, and what each call of the store does to them within one transaction."""

import sqlite3
from collections.abc import Sequence

import orjson

from hfchat.ledger.copy_files import Change
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
    after_refusal,
    first_refusal,
    window_count,
)
from hfchat.ledger.sqlite_state import RESTORE_REVOCATION
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
TOTALS_QUERY = """
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


def counters_of(
    db: sqlite3.Connection, principal: Principal, token_id: str, meters: Sequence[Meter], now: float
) -> Counters:
    """What is used of these meters, and whether the token is revoked."""
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


def reserve(db: sqlite3.Connection, reservation: Reservation, now: float, lease_ends: float) -> Counters:
    """Count all of the reservation or nothing; the counters say which."""
    person = reservation.principal.key
    counters = counters_of(db, reservation.principal, reservation.token_id, reservation.meters, now)
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


def settle(
    db: sqlite3.Connection, reservation: Reservation, usage: Usage, now: float, read_counters: bool
) -> Counters | None:
    """Replace what was reserved by what was used, once. A reservation that is not there changes nothing."""
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
        counters_of(db, reservation.principal, reservation.token_id, reservation.meters, now) if read_counters else None
    )


def renew(db: sqlite3.Connection, reservation_ids: Sequence[str], now: float, lease_ends: float) -> None:
    """Extend the leases; what lapsed long ago moves to the totals."""
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


def set_limits(db: sqlite3.Connection, subject: str, before: str, after: str) -> bool:
    """Set a person's limits where they are still `before`; whether they were."""
    row = db.execute("SELECT limits FROM person_limits WHERE subject = ?", (subject,)).fetchone()
    if before != (row[0] if row else ""):
        return False
    if after:
        db.execute("INSERT OR REPLACE INTO person_limits VALUES (?, ?)", (subject, after))
    else:
        db.execute("DELETE FROM person_limits WHERE subject = ?", (subject,))
    return True


def reset(db: sqlite3.Connection, subject: str) -> None:
    """Forget what all of this subject used."""
    db.execute(f"DELETE FROM meters WHERE {_SUBJECT} = ?", (subject,))  # noqa: S608  a constant of ours
    # What they reserved is counted in no window any more, so settling it gives nothing back.
    db.execute(f"UPDATE reservations SET windows = '{{}}' WHERE {_SUBJECT} = ?", (subject,))  # noqa: S608


def apply(db: sqlite3.Connection, change: Change) -> None:
    """Make a change that a command wants, whatever was there before."""
    if change.kind == "revoke":
        db.execute(RESTORE_REVOCATION, (change.name, change.value))
    elif change.kind == "reset":
        reset(db, change.name)
    elif change.value:
        db.execute("INSERT OR REPLACE INTO person_limits VALUES (?, ?)", (change.name, change.value))
    else:
        db.execute("DELETE FROM person_limits WHERE subject = ?", (change.name,))


def begin_once(db: sqlite3.Connection, name: str, body: str, owner: str, now: float, until: float) -> OnceState:
    """Take an idempotency key where it is free."""
    db.execute("DELETE FROM answers WHERE until <= ? OR until > ?", (now, now + MAX_ANSWER_S))
    row = db.execute("SELECT body, owner, answer FROM answers WHERE name = ?", (name,)).fetchone()
    if row is None:
        db.execute("INSERT INTO answers VALUES (?, ?, ?, ?, NULL)", (name, body, owner, until))
        return OnceState()
    return OnceState(running=row[2] is None and row[1] != owner, other=row[0] != body, answer=row[2])


def store_record(db: sqlite3.Connection, name: str, content: bytes, now: float, until: float) -> None:
    """Store it, and delete those whose time is over."""
    db.execute("DELETE FROM records WHERE until <= ?", (now,))
    db.execute("INSERT OR REPLACE INTO records VALUES (?, ?, ?)", (name, until, content))
