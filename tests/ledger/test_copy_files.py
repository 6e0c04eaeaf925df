"""The files of the copy: they come back as they were, the latest is found, and they stay bounded."""

import gzip
from dataclasses import replace
from pathlib import Path

import orjson
import pytest

from hfchat.errors import StoreUnavailable
from hfchat.ledger.copy_files import (
    MAX_COPY_BYTES,
    MAX_PEOPLE,
    REVOCATIONS_KEPT_S,
    Change,
    LedgerState,
    all_closed,
    change_name,
    check_names,
    latest_state,
    newer_claim,
    next_epoch,
    pack_change,
    pack_state,
    read_change,
    read_state,
    state_name,
    superseded,
)
from hfchat.ledger.sqlite_file import SqliteFile
from hfchat.ledger.sqlite_state import read_snapshot, restore_state
from hfchat.ledger.sqlite_statements import VERSIONS
from tests.support.ledger_questions import DAY, NOON

OLD, NEW = next_epoch([], "a" * 16), "0000000002-" + "b" * 16
STATE = LedgerState(
    meters=[("hfchat\x1falice", "tokens/day", DAY, 100), ("x\x1fzoë 🦉", "requests/month", DAY, 1)],
    people=[("hfchat", "alice", 1, 60, 40, 0, NOON)],
    revocations=[("t1", NOON + 9), ("t2", NOON + 99)],
    limits=[("bob", '{"blocked": true}')],
    records=[("name:hf:1", 2.0**33, "zoë")],
    changes=["changes/1"],
)


def test_a_state_comes_back() -> None:
    assert read_state(pack_state(STATE)) == STATE


def test_a_state_of_before_there_were_records_is_read() -> None:
    values = orjson.loads(gzip.decompress(pack_state(STATE)))
    del values["records"]
    assert read_state(gzip.compress(orjson.dumps(values))) == replace(STATE, records=[])


@pytest.mark.parametrize("change", [Change("revoke", "t1", 1.5), Change("limits", "bob", ""), Change("reset", "bob")])
def test_a_change_comes_back(change: Change) -> None:
    assert read_change(pack_change(change)) == change


def test_the_latest_state_is_found_and_what_came_before_may_go() -> None:
    names = [state_name(OLD, 9), state_name(OLD, 10), state_name(NEW, 1), f"claims/{OLD}", f"claims/{NEW}", "changes/1"]
    assert latest_state(names) == state_name(NEW, 1)
    assert latest_state(names[:2]) == state_name(OLD, 10)
    assert latest_state(["changes/1"]) is None
    assert superseded(names, state_name(NEW, 1)) == [state_name(OLD, 9), state_name(OLD, 10), f"claims/{OLD}"]
    assert superseded(names, state_name(OLD, 10)) == [state_name(OLD, 9)]
    assert not all_closed(names)
    assert all_closed([*names, state_name(NEW, 2, closed=True)])
    assert not all_closed([*names, state_name(OLD, 11, closed=True)])
    assert newer_claim(names, OLD)
    assert not newer_claim(names, NEW)
    assert next_epoch(names, "c" * 16) == "0000000003-" + "c" * 16


def test_all_names_of_ours_are_known() -> None:
    check_names(
        [
            state_name(NEW, 1),
            state_name(NEW, 2, closed=True),
            f"claims/{NEW}",
            change_name(12, "d" * 16),
            "checks/" + "e" * 16,
        ]
    )


@pytest.mark.parametrize("name", ["notes.txt", "states/1", f"states/{NEW}.1", f"claims/{NEW}.bak", "changes/1"])
def test_another_name_is_refused(name: str) -> None:
    with pytest.raises(StoreUnavailable) as refused:
        check_names([f"claims/{NEW}", name])
    assert name in str(refused.value.__cause__)


def test_a_state_that_is_too_large_is_not_written() -> None:
    with pytest.raises(StoreUnavailable) as refused:
        pack_state(LedgerState(limits=[("bob", "x" * MAX_COPY_BYTES)]))
    assert "larger than" in str(refused.value.__cause__)


def test_a_file_that_grows_too_large_is_not_read() -> None:
    with pytest.raises(StoreUnavailable):
        read_state(gzip.compress(b" " * (MAX_COPY_BYTES + 1)))


def test_what_has_ended_is_left_out_and_the_rest_is_restored(tmp_path: Path) -> None:
    one, other = (SqliteFile(tmp_path / name, VERSIONS) for name in ("one", "other"))
    ended = [("p", "requests/minute", DAY, 3), ("p", "tokens/month", DAY - 90 * 86_400, 3)]
    state = LedgerState(
        meters=[*STATE.meters, *ended],
        revocations=[*STATE.revocations, ("t0", NOON - REVOCATIONS_KEPT_S)],
        limits=STATE.limits,
        records=[*STATE.records, ("name:hf:0", NOON, "ended"), ("hub:t1", 2.0**33, "a sealed token")],
        people=[("i", str(number), 1, 2, 3, 0, number) for number in range(MAX_PEOPLE + 1)],
    )
    one.do([lambda db: restore_state(db, state)], writes=True)
    (snapshot,) = one.do([lambda db: read_snapshot(db, NOON)], writes=False)
    assert sorted(snapshot.state.meters) == sorted(STATE.meters)
    assert snapshot.state.revocations == STATE.revocations
    assert len(snapshot.state.people) == MAX_PEOPLE
    assert "0" not in {row[1] for row in snapshot.state.people}
    other.do([lambda db: restore_state(db, snapshot.state)], writes=True)
    (again,) = other.do([lambda db: read_snapshot(db, NOON)], writes=False)
    assert again.state.meters == snapshot.state.meters
    assert again.state.limits == STATE.limits
    assert again.state.records == snapshot.state.records == STATE.records
    (record,) = other.do([lambda db: db.execute("SELECT content FROM records").fetchone()], writes=False)
    assert record == ("zoë".encode(),)
    one.close()
    other.close()


def test_of_two_counts_the_higher_one_stays(tmp_path: Path) -> None:
    file = SqliteFile(tmp_path / "ledger", VERSIONS)
    for start, count in ((DAY, 5), (DAY, 3), (DAY - 86_400, 9)):
        file.do(
            [lambda db, row=("p", "tokens/day", start, count): restore_state(db, LedgerState(meters=[row]))],
            writes=True,
        )
    (snapshot,) = file.do([lambda db: read_snapshot(db, NOON)], writes=False)
    assert snapshot.state.meters == [("p", "tokens/day", DAY, 5)]
    file.close()
