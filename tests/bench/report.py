"""The tables, the ratios and the targets, from what was measured. Medians over rounds; ratios are taken within a round."""

from collections.abc import Iterator
from dataclasses import dataclass
from statistics import median

from tests.bench.cells import Cell, Sample
from tests.bench.contenders import API, DIRECT, LITELLM, V1

# (cell, contender) -> a sample per round; a round in which it had no turn has none.
Results = dict[tuple[str, str], list[Sample]]

_COLUMNS = (
    ("rate", "replies/s", "{:,.0f}"),
    ("added", "added ms", "{:.2f}"),
    ("total_p50", "p50 ms", "{:.2f}"),
    ("total_p99", "p99", "{:.2f}"),
    ("added_first", "1st tok. added", "{:.2f}"),
    ("first_p50", "1st p50 ms", "{:.2f}"),
    ("first_p99", "1st p99", "{:.1f}"),
    ("first_max", "1st slowest", "{:.1f}"),
    ("way_p50", "on the way p50", "{:.2f}"),
    ("way_p99", "on the way p99", "{:.1f}"),
    ("kib", "KiB/stream", "{:.1f}"),
    ("per_chunk", "us/chunk", "{:.2f}"),
    ("chunk_us", "cpu us/chunk", "{:.1f}"),
    ("early_us", "in the 1st fifth", "{:.1f}"),
    ("late_us", "in the last fifth", "{:.1f}"),
    ("events", "events", "{:.0f}"),
    ("start_s", "start s", "{:.2f}"),
    ("cpu_us", "cpu us/reply", "{:,.0f}"),
    ("server_busy", "its core busy", "{:.0%}"),
    ("load_busy", "load's core busy", "{:.0%}"),
    ("errors", "errors", "{:.0f}"),
    ("unfinished", "unfinished", "{:.0f}"),
)


@dataclass(frozen=True)
class Target:
    """What is wanted, what was measured, and whether that is enough."""

    wanted: str
    measured: str
    held: bool


class Report:
    """What the results say."""

    def __init__(self, cells: list[Cell], contenders: list[str], results: Results) -> None:
        self._cells = cells
        self._contenders = contenders
        self._results = results

    def value(self, cell: str, contender: str, figure: str) -> float | None:
        """The median over rounds."""
        found = [sample[figure] for sample in self._results.get((cell, contender), []) if figure in sample]
        return median(found) if found else None

    def compared(self, cell: str, one: str, other: str, figure: str, *, less: bool = False) -> float | None:
        """The median over rounds of one's figure to the other's in the same round; `less`: the difference."""
        pairs = zip(self._results.get((cell, one), []), self._results.get((cell, other), []), strict=False)
        found = [
            a[figure] - b[figure] if less else a[figure] / b[figure]
            for a, b in pairs
            if figure in a and figure in b and (less or b[figure])
        ]
        return median(found) if found else None

    def table(self, cell: Cell) -> Iterator[str]:
        """What was measured in this cell, in lines."""
        rows = [(name, self._row(cell, name)) for name in self._contenders if (cell.name, name) in self._results]
        if rows:
            yield f"\n{cell.title}  [{cell.name}, rounds: {self._rounds(cell)}]"
            yield from _table(rows)

    def _rounds(self, cell: Cell) -> int:
        return max(len(samples) for (name, _), samples in self._results.items() if name == cell.name)

    def _row(self, cell: Cell, name: str) -> dict[str, str]:
        figures = {figure: self.value(cell.name, name, figure) for figure, _, _ in _COLUMNS}
        if name != DIRECT:
            figures["added"] = self.compared(cell.name, name, DIRECT, "total_p50", less=True)
            if cell.name.startswith("stream"):
                figures["added_first"] = self.compared(cell.name, name, DIRECT, "first_p50", less=True)
        if cell.name.startswith("length"):
            chunks = int(cell.name.partition("-")[2])
            for figure, per_chunk, unit_us in (("total_p50", "per_chunk", 1e3), ("cpu_us", "chunk_us", 1)):
                figure_us = figures[figure]
                figures[per_chunk] = None if figure_us is None else figure_us * unit_us / chunks
        if not cell.name.startswith(("stream", "paced", "full", "burst", "held", "page")):
            figures["first_p50"] = figures["first_p99"] = figures["first_max"] = None
        row = {title: form.format(figures[figure]) for figure, title, form in _COLUMNS if figures[figure] is not None}
        for column in ("errors", "unfinished"):
            if row.get(column) == "0":
                del row[column]
        ratio = self.compared(cell.name, name, LITELLM, "rate")
        if ratio is not None and name != LITELLM:
            row["x LiteLLM"] = f"{ratio:.1f}"
        return row

    def capacity(self) -> str:
        """How much faster the stub and the callers are than the fastest that was measured through them."""
        slack = []
        for cell in self._cells:
            if not cell.name.startswith(("plain", "stream", "fresh")):
                continue
            for name in self._contenders:
                ratio = self.compared(cell.name, DIRECT, name, "rate")
                if ratio is not None and name in (API, V1, LITELLM):
                    slack.append((ratio, cell.name, name))
        busy = [
            (value, cell.name, name)
            for cell in self._cells
            for name in (API, V1, LITELLM)
            if not cell.name.startswith("full") and (value := self.value(cell.name, name, "load_busy")) is not None
        ]
        said = []
        if slack:
            ratio, cell_name, name = min(slack)
            verdict = "no bottleneck" if ratio >= 5 else "too near to be trusted"
            said.append(
                f"The stub and the callers alone ({DIRECT}) are at least {ratio:.1f} times as fast as anything measured "
                f"({cell_name}, {name}): {verdict}."
            )
        if busy:
            share, cell_name, name = max(busy)
            said.append(
                f"They took at most {share:.0%} of a core of their own while another was measured ({cell_name}, {name})."
            )
        return "\n".join(said)

    def targets(self) -> Iterator[Target]:
        """The targets of which something was measured."""
        for door in (V1, API):
            for cell, figure, what in (
                ("plain-1", "total_p50", "added"),
                ("stream-1", "first_p50", "first token, added"),
            ):
                yield from _below(
                    f"{door}: {what}, 1 caller", self.compared(cell, door, DIRECT, figure, less=True), 1, "ms"
                )
            for cell, least, what in (("plain-16", 15, "requests/s"), ("stream-16", 50, "streamed replies/s")):
                ratio = self.compared(cell, door, LITELLM, "rate")
                if ratio is not None:
                    yield Target(
                        f"{door}: {what}, 16 callers, at least {least} x LiteLLM", f"{ratio:.1f}", ratio >= least
                    )
            yield from _below(
                f"{door}: 200 streams, first token p50", self.value("paced-200", door, "first_p50"), 5, "ms"
            )
            yield from _below(
                f"{door}: 200 streams, first token p99", self.value("paced-200", door, "first_p99"), 50, "ms"
            )
            for cell in ("paced-1000", "held-1000", "burst-1000"):
                slowest = self.value(cell, door, "first_max")
                yield from _below(f"{door}: 1,000 streams ({cell}), slowest first token", slowest, 500, "ms")
            yield from _below(f"{door}: memory per open stream", self.value("held-1000", door, "kib"), 50, "KiB")
            yield from _below(f"{door}: a chunk after the 1,000th to one before it", self.growth(door), 1.25, "")
        page = [self.value("page-5000", V1, figure) for figure in ("late_us", "early_us")]
        if page[0] and page[1]:
            yield from _below(
                "page: a chunk in the last fifth of 5,000 to one in the first", page[0] / page[1], 1.25, ""
            )

    def growth(self, name: str) -> float | None:
        """What a chunk from the 1,000th to the 10,000th costs, in processor time, to what one before the 1,000th does."""
        at = {n: self.value(f"length-{n}", name, "cpu_us") for n in (10, 1_000, 10_000)}
        if None in at.values():
            return None
        few, many, most = (value or 0.0 for value in at.values())
        return ((most - many) / 9_000) / ((many - few) / 990)


def _below(wanted: str, value: float | None, bound: float, unit: str) -> Iterator[Target]:
    if value is not None:
        yield Target(f"{wanted}, below {bound:g} {unit}".rstrip(), f"{value:.2f} {unit}".rstrip(), value < bound)


def _table(rows: list[tuple[str, dict[str, str]]]) -> Iterator[str]:
    titles = [title for _, title, _ in _COLUMNS if any(title in row for _, row in rows)]
    titles += ["x LiteLLM"] if any("x LiteLLM" in row for _, row in rows) else []
    widths = [max(len(title), *(len(row.get(title, "-")) for _, row in rows)) for title in titles]
    first = max(len(name) for name, _ in rows)
    yield "  ".join([" " * first, *(title.rjust(width) for title, width in zip(titles, widths, strict=True))])
    for name, row in rows:
        values = (row.get(title, "-").rjust(width) for title, width in zip(titles, widths, strict=True))
        yield "  ".join([name.ljust(first), *values])
