"""Files of the ledger's copy: their names, and their content as compressed JSON. Pure.

`claims/EPOCH`: a program that wants to use the copy alone. `states/EPOCH.SEQUENCE`: all that must survive, written by the
program with that claim; with `.closed` at the end it is exact and that program's last. `changes/TIME`: what a command wants
changed. `checks/ID`: written and deleted by `python -m hfchat check`. An epoch is a number and an id, so that two programs
never have the same; later ones are greater as texts.
Names of people and ids of tokens stand in it as they are: the bucket is private, and `python -m hfchat usage` shows them.
"""

import gzip
import re
import zlib
from collections.abc import Collection
from dataclasses import asdict, dataclass, field, fields
from typing import Any

import orjson

from hfchat.errors import StoreUnavailable
from hfchat.ledger.bucket import CopyError, unavailable

CLAIMS, STATES, CHANGES, CHECKS = "claims/", "states/", "changes/", "checks/"
CLOSED = ".closed"
# 10,000 people with two windows each take 3 MB as JSON and 0.5 MB compressed, and 0.1 s of a thread.
MAX_COPY_BYTES = 32 * 1024 * 1024
# People whose totals are kept: the last seen.
MAX_PEOPLE = 20_000
# A clock that runs ahead by less must not make a revoked token good again.
REVOCATIONS_KEPT_S = 30 * 86_400
# How the names of records begin that must survive: what people are called. All others are secrets, which no copy has.
NAMES = "name:"
_EPOCH = r"\d{10}-[0-9a-f]{16}"
_NAME = re.compile(
    rf"claims/{_EPOCH}|states/{_EPOCH}\.\d{{10}}({re.escape(CLOSED)})?|changes/\d{{20}}-[0-9a-f]{{16}}|checks/[0-9a-f]{{16}}"
)
_FORM = "hfchat-ledger-1"
_DAMAGED = (
    "a file of it is damaged, or a newer hfchat wrote it, so nothing is granted. Use that version; or use another bucket, where "
    "everybody begins anew and revoked tokens are good again until they expire"
)


@dataclass(frozen=True, slots=True)
class LedgerState:
    """What must survive a disk that forgets, as rows of the store's tables.

    meters: person, meter, start of the window, used. people: issuer, subject, requests, prompt tokens, completion tokens,
    estimated tokens, last seen. revocations: token id, until. limits: subject, limits. records: name, until, text; of NAMES
    alone. changes: names of those that are made.
    """

    meters: list[tuple[str, str, int, int]] = field(default_factory=list)
    people: list[tuple[str, str, int, int, int, int, float]] = field(default_factory=list)
    revocations: list[tuple[str, float]] = field(default_factory=list)
    limits: list[tuple[str, str]] = field(default_factory=list)
    records: list[tuple[str, float, str]] = field(default_factory=list)
    changes: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Change:
    """What a command changes: `kind` is `revoke` (a token id, `value` until when), `limits` (of a subject) or `reset`."""

    kind: str
    name: str
    value: float | str | None = None


def next_epoch(names: Collection[str], id_: str) -> str:
    """An epoch after all those that these names have; the id has 16 hexadecimal digits."""
    return f"{max((int(_epoch(name)[:10]) for name in names if name.startswith((CLAIMS, STATES))), default=0) + 1:010}-{id_}"


def state_name(epoch: str, sequence: int, *, closed: bool = False) -> str:
    """The name of a program's state number `sequence`."""
    return f"{STATES}{epoch}.{sequence:010}{CLOSED if closed else ''}"


def change_name(time_ns: int, id_: str) -> str:
    """The name of a change that is made at this time; the id has 16 hexadecimal digits."""
    return f"{CHANGES}{time_ns:020}-{id_}"


def latest_state(names: Collection[str]) -> str | None:
    """The state that is in force; None where there is none."""
    return max((name for name in names if name.startswith(STATES)), default=None)


def newer_claim(names: Collection[str], epoch: str) -> bool:
    """Whether a program with a later epoch is there, or has been."""
    return any(_epoch(name) > epoch for name in names if name.startswith((CLAIMS, STATES)))


def all_closed(names: Collection[str]) -> bool:
    """Whether the program with the latest claim has stopped in order."""
    state = latest_state(names)
    return state is not None and state.endswith(CLOSED) and not newer_claim(names, _epoch(state))


def superseded(names: Collection[str], state: str) -> list[str]:
    """What no program needs any more once this state is acknowledged."""
    epoch = _epoch(state)
    return [
        name
        for name in names
        if (name.startswith(STATES) and name < state) or (name.startswith(CLAIMS) and _epoch(name) < epoch)
    ]


def check_names(names: Collection[str]) -> None:
    """Raises: StoreUnavailable where a file was put there by something else."""
    foreign = [name for name in names if not _NAME.fullmatch(name)]
    if foreign:
        raise unavailable(f"a file in it is not hfchat's: {foreign[0][:80]!r}; remove it, or use another bucket")


def pack_state(state: LedgerState) -> bytes:
    """The state as a file. Raises: StoreUnavailable where it is too large."""
    return _pack({name.name: getattr(state, name.name) for name in fields(state)})  # `asdict` would copy every row


def read_state(content: bytes) -> LedgerState:
    """The state in a file. Raises: StoreUnavailable for a file that is damaged or of another version."""
    values = _unpack(content)
    try:
        return LedgerState(
            meters=[(str(a), str(b), int(c), int(d)) for a, b, c, d in values["meters"]],
            people=[
                (str(a), str(b), int(c), int(d), int(e), int(f), float(g)) for a, b, c, d, e, f, g in values["people"]
            ],
            revocations=[(str(a), float(b)) for a, b in values["revocations"]],
            limits=[(str(a), str(b)) for a, b in values["limits"]],
            records=[(str(a), float(b), str(c)) for a, b, c in values.get("records", ())],  # older files have none
            changes=[str(name) for name in values["changes"]],
        )
    except (KeyError, TypeError, ValueError):
        raise StoreUnavailable from CopyError(_DAMAGED)


def pack_change(change: Change) -> bytes:
    """The change as a file."""
    return _pack(asdict(change))


def read_change(content: bytes) -> Change:
    """The change in a file. Raises: StoreUnavailable for a file that is damaged or of another version."""
    values = _unpack(content)
    try:
        change = Change(str(values["kind"]), str(values["name"]), values["value"])
    except KeyError:
        raise StoreUnavailable from CopyError(_DAMAGED)
    type_ = {"revoke": float | int, "limits": str, "reset": type(None)}.get(change.kind)
    if type_ is None or not isinstance(change.value, type_):
        raise unavailable(_DAMAGED)
    return change


def _epoch(name: str) -> str:
    return name.partition("/")[2].partition(".")[0]


def _pack(values: dict[str, Any]) -> bytes:
    text = orjson.dumps({"form": _FORM, **values})
    if len(text) > MAX_COPY_BYTES:
        raise unavailable(f"the ledger is larger than {MAX_COPY_BYTES} bytes, which its copy may have")
    # Level 1: a third of the time of level 9 for a tenth more bytes.
    return gzip.compress(text, compresslevel=1, mtime=0)


def _unpack(content: bytes) -> dict[str, Any]:
    try:
        stream = zlib.decompressobj(wbits=31)
        text = stream.decompress(content, MAX_COPY_BYTES)
        if not stream.eof:
            raise unavailable(_DAMAGED)
        values = orjson.loads(text)
        if values.pop("form") != _FORM:
            raise unavailable(_DAMAGED)
    except (zlib.error, ValueError, KeyError, AttributeError, TypeError):
        raise StoreUnavailable from CopyError(_DAMAGED)
    return dict(values)
