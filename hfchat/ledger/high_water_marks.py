"""High-water marks: how much of each window of a person is persisted as used, ahead of use. Nothing beyond is granted.

A mark is `step` above what is settled, or at what replies in progress hold in full where that is more. So a crash, after
which counting resumes at the mark, costs a person at most that much.

Requests a second or a minute have no marks, which would have to be persisted every minute: after a crash nothing is granted
until the minute is over instead.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from hfchat.ledger.meters import REQUESTS, Meter

# Uploads a person causes in a window: at most twice this many, as the next step is persisted when half of one is left.
STEPS = 10
SHORT_WINDOWS = ("second", "minute")

# A person and a meter, as the store names them.
Key = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Want:
    """A mark that is to be raised in the window that began at `start`: by `step`, up to `limit`."""

    start: int
    limit: int
    step: int


def has_mark(meter: Meter) -> bool:
    """Whether this meter is granted up to a mark."""
    return meter.name != REQUESTS or meter.window not in SHORT_WINDOWS


def step_of(meter: Meter) -> int:
    """What is persisted ahead of this meter: a tenth of the limit, or two turns like this one where that is more."""
    return max(meter.limit // STEPS, 2 * meter.amount, 1)


class Marks:
    """The marks of all people. `begin` an upload, `end` it once it is acknowledged; then the new ones are in force."""

    def __init__(self) -> None:
        self._marks: dict[Key, tuple[int, int]] = {}
        # What was granted since the upload began, of which its snapshot of the store may not know.
        self._granted: dict[Key, tuple[int, int]] | None = None

    def grant(self, person: str, used: Iterable[tuple[Meter, tuple[int, int]]]) -> bool:
        """Whether all that is used in these windows, this reservation included, is persisted: then it may be granted."""
        counts = [((person, meter.key), count) for meter, count in used if meter.amount and has_mark(meter)]
        for key, (start, count) in counts:
            mark = self._marks.get(key)
            if mark is None or mark[0] != start or mark[1] < count:
                return False
        if self._granted is not None:
            for key, (start, count) in counts:
                self._granted[key] = (start, max(count, self._at(self._granted, key, start)))
        return True

    def cover(self, person: str, used: Iterable[tuple[Meter, tuple[int, int]]]) -> bool:
        """Whether there are marks for these windows: after an upload that was wanted for a reservation, they include it."""
        return all(
            (mark := self._marks.get((person, meter.key))) is not None and mark[0] == start
            for meter, (start, _) in used
            if meter.amount and has_mark(meter)
        )

    def wants(self, person: str, used: Iterable[tuple[Meter, tuple[int, int]]]) -> dict[Key, Want]:
        """The marks that are to be raised, because less than half a step is left."""
        wants: dict[Key, Want] = {}
        for meter, (start, count) in used:
            if has_mark(meter):
                key, step = (person, meter.key), step_of(meter)
                mark = self._at(self._marks, key, start)
                if mark < meter.limit and count + step // 2 >= mark:
                    wants[key] = Want(start, meter.limit, step)
        return wants

    def snapshot(self) -> None:
        """Call it before the store is read for an upload."""
        self._granted = {}

    def begin(
        self, rows: Iterable[tuple[str, str, int, int]], held: Mapping[str, int], wants: Mapping[Key, Want]
    ) -> dict[Key, tuple[int, int]]:
        """The marks to upload for these rows of the store (person, meter, start, used) and what replies in progress hold.

        From now on no mark is in force that is higher than the uploaded one, which may be there without being acknowledged.
        """
        granted, self._granted = self._granted or {}, None
        uploaded: dict[Key, tuple[int, int]] = {}
        for person, meter, start, used in rows:
            key = (person, meter)
            mark = max(used, self._at(granted, key, start))
            one = wants.get(key)
            if one is None or one.start != start:
                mark = max(mark, self._at(self._marks, key, start))
            else:
                settled = used - (0 if meter.startswith(f"{REQUESTS}/") else held.get(person, 0))
                mark = max(mark, min(one.limit, settled + one.step))
            uploaded[key] = (start, mark)
        for key, one in wants.items():
            if key not in uploaded or uploaded[key][0] < one.start:  # a window in which nothing is used yet
                uploaded[key] = (one.start, min(one.limit, one.step))
        self._marks = {
            key: (start, min(mark, uploaded[key][1]))
            for key, (start, mark) in self._marks.items()
            if key in uploaded and uploaded[key][0] == start
        }
        return uploaded

    def end(self, uploaded: dict[Key, tuple[int, int]]) -> None:
        """The upload is acknowledged."""
        self._marks = uploaded

    @staticmethod
    def _at(marks: Mapping[Key, tuple[int, int]], key: Key, start: int) -> int:
        mark = marks.get(key)
        return mark[1] if mark is not None and mark[0] == start else 0
