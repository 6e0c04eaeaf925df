"""State of the SQLite store as rows, for the ledger's copy: what is still in force, and restoring it into another file."""

import sqlite3
from dataclasses import dataclass

from hfchat.ledger.copy_files import MAX_PEOPLE, NAMES, REVOCATIONS_KEPT_S, LedgerState
from hfchat.ledger.meters import CLOCK_STEP_S, MAX_LEASE_S
from hfchat.limits import window_end

_HELD = """
    SELECT person, SUM(prompt_tokens + completion_tokens) FROM reservations
    WHERE lease_ends > ? AND lease_ends <= ? GROUP BY person
"""
_PEOPLE = """
    SELECT issuer, subject, requests, prompt_tokens, completion_tokens, estimated_tokens, last_seen
    FROM people ORDER BY last_seen DESC LIMIT ?
"""
_NAMES = "SELECT name, until, CAST(content AS TEXT) FROM records WHERE name GLOB ? AND until > ? LIMIT ?"
_RESTORE_METER = """
    INSERT INTO meters (person, meter, starts, used) VALUES (?, ?, ?, ?)
    ON CONFLICT DO UPDATE SET starts = MAX(starts, excluded.starts), used = CASE
        WHEN excluded.starts = starts THEN MAX(used, excluded.used) WHEN excluded.starts > starts THEN excluded.used ELSE used END
"""
_RESTORE_TOTALS = """
    INSERT INTO people (issuer, subject, requests, prompt_tokens, completion_tokens, estimated_tokens, last_seen, person)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?)
    ON CONFLICT DO UPDATE SET requests = MAX(requests, excluded.requests),
        prompt_tokens = MAX(prompt_tokens, excluded.prompt_tokens),
        completion_tokens = MAX(completion_tokens, excluded.completion_tokens),
        estimated_tokens = MAX(estimated_tokens, excluded.estimated_tokens), last_seen = MAX(last_seen, excluded.last_seen)
"""
RESTORE_REVOCATION = (
    "INSERT INTO revocations VALUES (?, ?) ON CONFLICT DO UPDATE SET until = MAX(until, excluded.until)"
)


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The state at one instant, and the tokens that each person's replies in progress hold of it."""

    state: LedgerState
    held: dict[str, int]


def read_snapshot(db: sqlite3.Connection, now: float) -> Snapshot:
    """What is in force now."""
    meters = [
        (person, meter, starts, used)
        for person, meter, starts, used in db.execute("SELECT person, meter, starts, used FROM meters")
        if window_end(meter.partition("/")[2], starts) + CLOCK_STEP_S > now
    ]
    revocations = "SELECT token_id, until FROM revocations WHERE until > ?"
    return Snapshot(
        LedgerState(
            meters=meters,
            people=db.execute(_PEOPLE, (MAX_PEOPLE,)).fetchall(),
            revocations=db.execute(revocations, (now - REVOCATIONS_KEPT_S,)).fetchall(),
            limits=db.execute("SELECT subject, limits FROM person_limits").fetchall(),
            records=db.execute(_NAMES, (f"{NAMES}*", now, MAX_PEOPLE)).fetchall(),
        ),
        dict(db.execute(_HELD, (now, now + MAX_LEASE_S)).fetchall()),
    )


def restore_state(db: sqlite3.Connection, state: LedgerState) -> None:
    """Bring this state into a store, which may have counts of its own: of two, the higher one stays."""
    db.executemany(_RESTORE_METER, state.meters)
    db.executemany(_RESTORE_TOTALS, [(*row, f"{row[0]}\x1f{row[1]}") for row in state.people])
    db.executemany(RESTORE_REVOCATION, state.revocations)
    db.execute("DELETE FROM person_limits")
    db.executemany("INSERT INTO person_limits VALUES (?, ?)", state.limits)
    db.executemany("INSERT OR REPLACE INTO records VALUES (?, ?, CAST(? AS BLOB))", state.records)
