"""The table of a cell: a row per contender, a column per figure that was measured."""

from collections.abc import Iterator

from tests.bench.cells import Cell
from tests.bench.contenders import BARE, DIRECT, EVERYBODY, LITELLM
from tests.bench.results import Results
from tests.bench.verdicts import SEEN

_COLUMNS = {
    "rate": ("replies/s", "{:,.0f}"),
    "faster": ("x LiteLLM", "{:.1f}"),
    "total_p50": ("p50 ms", "{:.2f}"),
    "total_p99": ("p99", "{:.2f}"),
    "added": ("added to direct", "{:.2f}"),
    "first_p50": ("1st word p50 ms", "{:.2f}"),
    "first_p99": ("p99", "{:.1f}"),
    "first_max": ("slowest", "{:.1f}"),
    "added_first": ("added to direct", "{:.2f}"),
    "way_p50": ("on the way p50", "{:.2f}"),
    "way_p99": ("p99", "{:.1f}"),
    "gap_max": ("longest gap", "{:.0f}"),
    "kib": ("KiB/stream", "{:.1f}"),
    "per_chunk": ("us/chunk", "{:.2f}"),
    "cpu_us": ("cpu us/reply", "{:,.0f}"),
    "chunk_us": ("cpu us/chunk", "{:.1f}"),
    "early_us": ("1st fifth", "{:.1f}"),
    "late_us": ("last fifth", "{:.1f}"),
    "events": ("events", "{:.0f}"),
    "paint_ms": ("painted ms", "{:.0f}"),
    "paint_ms_x": ("x bare", "{:.2f}"),
    "box_ms": ("box ms", "{:.0f}"),
    "box_ms_x": ("x bare", "{:.2f}"),
    "word_ms": ("Enter to word ms", "{:.0f}"),
    "word_ms_x": ("x bare", "{:.2f}"),
    "start_s": ("start s", "{:.2f}"),
    "server_busy": ("its core", "{:.0%}"),
    "load_busy": ("callers' core", "{:.0%}"),
    "errors": ("errors", "{:.0f}"),
    "unfinished": ("unfinished", "{:.0f}"),
}
_TIMES_OF_FIRST_WORDS = ("first_p50", "first_p99", "first_max", "added_first")
# Where the first word comes with the last, or the time is the pace's.
_WITHOUT_FIRST = ("plain", "fresh", "history", "length")
_PACED = ("paced", "full", "burst", "held")


def table(cell: Cell, results: Results) -> Iterator[str]:
    """What was measured in this cell, in lines."""
    rows = {who: _row(cell.name, who, results) for who in EVERYBODY if results.rounds(cell.name, who)}
    if not rows:
        return
    rounds = ", ".join(
        sorted({f"{results.rounds(cell.name, who)}{f' of {who}' if who == LITELLM else ''}" for who in rows})
    )
    yield f"\n{cell.title}  [{cell.name}; rounds: {rounds}]"
    figures = [figure for figure in _COLUMNS if any(figure in row for row in rows.values())]
    titles = [_COLUMNS[figure][0] for figure in figures]
    lines = [titles, *([row.get(figure, "-") for figure in figures] for row in rows.values())]
    widths = [max(len(line[column]) for line in lines) for column in range(len(figures))]
    for who, line in zip(["", *rows], lines, strict=True):
        yield "  ".join([who.ljust(12), *(text.rjust(width) for text, width in zip(line, widths, strict=True))])


def _row(cell: str, who: str, results: Results) -> dict[str, str]:
    figures = {figure: results.value(cell, who, figure) for figure in _COLUMNS}
    if who != DIRECT:
        figures["added"] = results.added(cell, who, DIRECT, "total_p50")
        figures["added_first"] = results.added(cell, who, DIRECT, "first_p50")
    if who != LITELLM:
        figures["faster"] = results.ratio(cell, who, LITELLM, "rate")
    if who != BARE:
        figures |= {f"{figure}_x": results.ratio(cell, who, BARE, figure) for figure in SEEN}
    kind, _, size = cell.partition("-")
    if kind == "length":
        for figure, per_chunk, unit_us in (("total_p50", "per_chunk", 1e3), ("cpu_us", "chunk_us", 1)):
            measured = figures[figure]
            figures[per_chunk] = None if measured is None else measured * unit_us / int(size)
    left_out = [
        *(_TIMES_OF_FIRST_WORDS if kind in _WITHOUT_FIRST else ()),
        *(("added", "faster") if kind in _PACED else ()),
    ]
    left_out += [figure for figure in ("errors", "unfinished") if not figures[figure]]
    return {
        figure: form.format(value)
        for figure, (_, form) in _COLUMNS.items()
        if figure not in left_out and (value := figures[figure]) is not None
    }
