"""What the figures say: whether the load was no bottleneck, which targets hold, and the ratios for the README."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from tests.bench.contenders import API, BARE, DIRECT, LITELLM, V1
from tests.bench.results import Results

ENOUGH_SLACK = 5
SAME = 1.25  # what a cost may grow to and still count as the same, on a machine that does other things too
AS_QUICK = 1.2
SEEN = {"paint_ms": "first paint", "box_ms": "a box to write into", "word_ms": "from Enter to the first word"}
_MEASURED = (API, V1, LITELLM)


@dataclass(frozen=True)
class Target:
    """What is wanted, what was measured, and whether that is enough."""

    wanted: str
    measured: str
    held: bool


def slack(results: Results) -> Iterator[str]:
    """How the stub and the callers were measured to be no bottleneck."""
    unpaced = [cell for cell, who in results.samples if who == DIRECT and cell.startswith(("plain", "stream", "fresh"))]
    ratios = [
        (ratio, cell, who)
        for cell in unpaced
        for who in _MEASURED
        if (ratio := results.ratio(cell, DIRECT, who, "rate"))
    ]
    if ratios:
        ratio, cell, who = min(ratios)
        verdict = "they are no bottleneck" if ratio >= ENOUGH_SLACK else "TOO NEAR: they may be what was measured"
        yield f"The stub and the callers alone (direct) did at least {ratio:.1f} times what they did through another"
        yield f"({who}, {cell}): {verdict}."
    busy = [
        (share, cell, who)
        for cell, who in results.samples
        if who in _MEASURED and not cell.startswith("full") and (share := results.value(cell, who, "load_busy"))
    ]
    if busy:
        share, cell, who = max(busy)
        yield f"They took at most {share:.0%} of a core of their own while another was measured ({who}, {cell})."


def targets(results: Results) -> list[Target]:
    """The targets of which something was measured."""
    found: list[Target] = []
    for door in (V1, API):
        found += [*_latency(results, door), *_against_litellm(results, door), *_many_streams(results, door)]
        found += _below(f"{door}: cost of a chunk after the 1,000th to one before", growth(results, door), SAME, "")
    early, late = (results.value("page-5000", V1, figure) for figure in ("early_us", "late_us"))
    if early and late:
        found += _below("page: cost of a chunk in the last fifth of 5,000 to one in the first", late / early, SAME, "")
    for figure, said in SEEN.items():
        found += _below(
            f"page: {said}, to a bare page of Gradio's", results.ratio("paint", V1, BARE, figure), AS_QUICK, "x"
        )
    return found


def _latency(results: Results, door: str) -> Iterator[Target]:
    yield from _below(f"{door}: latency added, 1 caller", results.added("plain-1", door, DIRECT, "total_p50"), 1, "ms")
    first = results.added("stream-1", door, DIRECT, "first_p50")
    yield from _below(f"{door}: time to the first word added, 1 caller", first, 1, "ms")


def _against_litellm(results: Results, door: str) -> Iterator[Target]:
    for cell, least, what in (("plain-16", 15, "requests/s"), ("stream-16", 50, "streamed replies/s")):
        ratio = results.ratio(cell, door, LITELLM, "rate")
        if ratio is not None:
            yield Target(f"{door}: {what}, 16 callers, at least {least} x LiteLLM", f"{ratio:.1f}", ratio >= least)


def _many_streams(results: Results, door: str) -> Iterator[Target]:
    for figure, bound in (("first_p50", 5), ("first_p99", 50)):
        value = results.value("paced-200", door, figure)
        yield from _below(f"{door}: 200 streams, first word {figure[-3:]}", value, bound, "ms")
    for cell in ("paced-1000", "held-1000", "burst-1000"):
        value = results.value(cell, door, "first_max")
        yield from _below(f"{door}: 1,000 streams ({cell}), slowest first word", value, 500, "ms")
    yield from _below(f"{door}: memory per open stream", results.value("held-1000", door, "kib"), 50, "KiB")


def _below(wanted: str, value: float | None, bound: float, unit: str) -> Iterator[Target]:
    if value is not None:
        yield Target(f"{wanted}, below {bound:g} {unit}".rstrip(), f"{value:.2f} {unit}".rstrip(), value < bound)


def growth(results: Results, who: str) -> float | None:
    """What a chunk from the 1,000th to the 10,000th costs, in processor time, to what one before the 1,000th does."""
    few, many, most = (results.value(f"length-{n}", who, "cpu_us") for n in (10, 1_000, 10_000))
    if few is None or many is None or most is None or many <= few:
        return None
    return ((most - many) / 9_000) / ((many - few) / 990)


def readme_table(results: Results) -> Iterator[str]:
    """How many times as good as LiteLLM's proxy the two doors are, as the README has it."""
    rows = [(said, [ratio(results, door) for door in (V1, API)]) for said, ratio in _README.items()]
    measured = [(said, ratios) for said, ratios in rows if None not in ratios]
    if measured:
        yield f"| how many times better than LiteLLM's proxy | `/v1` | `{API}` |"
        yield "|---|---|---|"
        yield from (f"| {said} | {' | '.join(map(_rounded, ratios))} |" for said, ratios in measured)


def _more(cell: str, figure: str) -> Callable[[Results, str], float | None]:
    return lambda results, door: results.ratio(cell, door, LITELLM, figure)


def _less(cell: str, figure: str) -> Callable[[Results, str], float | None]:
    return lambda results, door: results.ratio(cell, LITELLM, door, figure)


def _adds_less(cell: str, figure: str) -> Callable[[Results, str], float | None]:
    def ratio(results: Results, door: str) -> float | None:
        ours, theirs = (results.added(cell, who, DIRECT, figure) for who in (door, LITELLM))
        return theirs / ours if ours and theirs else None

    return ratio


def _rounded(ratio: float | None) -> str:
    return "" if ratio is None else f"{ratio:.0f}" if ratio >= 9.5 else f"{ratio:.1f}"


_README: dict[str, Callable[[Results, str], float | None]] = {
    "latency added, 1 caller": _adds_less("plain-1", "total_p50"),
    "time to the first word added, 1 caller": _adds_less("stream-1", "first_p50"),
    "requests a second, 16 callers": _more("plain-16", "rate"),
    "streamed replies a second, 16 callers": _more("stream-16", "rate"),
    "processor time of a request": _less("plain-16", "cpu_us"),
    "processor time of a streamed reply": _less("stream-16", "cpu_us"),
    "memory of an open stream": _less("held-1000", "kib"),
    "time to start": lambda results, door: results.ratio("cold", LITELLM, V1, "start_s"),
}
