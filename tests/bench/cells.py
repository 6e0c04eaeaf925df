"""What is measured, cell by cell."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial

from tests.bench import measuring
from tests.bench.contenders import API, BARE, DIRECT, DOORS, LITELLM, V1, Contender
from tests.bench.load import Load
from tests.bench.measuring import Bench, Sample
from tests.bench.painting import installed_browser
from tests.bench.replies import TYPICAL, Shape

SPEAKING = Shape(100, 50)
READING = Shape(40, 10)
WAITING = Shape(12, 0.5)
HISTORIES = (1, 20, 200)
LENGTHS = (10, 100, 1_000, 10_000)
PAGE_LENGTHS = (100, 1_000, 5_000)
PAGE_PER_S = 500
PAGE_HISTORY = 100

Measure = Callable[[Bench, Contender], Awaitable[Sample]]


@dataclass(frozen=True)
class Cell:
    """One thing that is measured: of the contenders `of`, `rounds` times at most, of LiteLLM `litellm_rounds` times."""

    name: str
    title: str
    measure: Measure
    rounds: int = 5
    litellm_rounds: int = 5
    of: tuple[str, ...] = DOORS

    def takes_part(self, who: str, turn: int) -> bool:
        """Whether this contender is measured in this round."""
        return who in self.of and (who != LITELLM or turn < self.litellm_rounds)


def cells() -> list[Cell]:
    """All cells, in their order."""
    return [*_requests(), *_many_streams(), *_sizes(), *_page(), *_paint(), _cold()]


def shapes() -> tuple[Shape, ...]:
    """Every shape of reply that a cell asks for: each is a model."""
    paced = [Shape(n, PAGE_PER_S) for n in PAGE_LENGTHS]
    return (TYPICAL, SPEAKING, READING, WAITING, *(Shape(n) for n in LENGTHS), *paced)


def _under(load: Load, name: str, how: Callable[..., Awaitable[Sample]] = measuring.rates_and_times) -> Measure:
    return partial(how, cell=name, load=load)


def _requests() -> list[Cell]:
    found = []
    for kind, stream, said in (
        ("plain", False, "not streamed"),
        ("stream", True, f"streams of {TYPICAL.chunks} chunks"),
    ):
        for callers in (1, 16, 64):
            name, title = f"{kind}-{callers}", f"{said}, {callers} caller{'s' if callers > 1 else ''}"
            measure = _under(Load(TYPICAL, stream, callers), name)
            found.append(Cell(name, title, measure, litellm_rounds=5 if callers < 64 else 2))
    new = "not streamed, 16 callers, every token (JWT) never seen before"
    fresh = _under(Load(TYPICAL, False, 16), "fresh-16", measuring.of_new_people)
    secure = _under(Load(TYPICAL, True, 16), "tls-16", measuring.over_tls)
    return [
        *found,
        Cell("fresh-16", new, fresh, 3, 1),
        Cell(
            "tls-16",
            f"streams of {TYPICAL.chunks} chunks, 16 callers, TLS to the model",
            secure,
            2,
            1,
            (API, V1, LITELLM),
        ),
    ]


def _many_streams() -> list[Cell]:
    speaking = Load(SPEAKING, True, 200, seconds=6, warm_s=2, over_s=2, each=3)
    reading = Load(READING, True, 1_000, seconds=6, warm_s=4, over_s=4, each=1)
    too_much = Load(SPEAKING, True, 1_000, once=True, over_s=2, at_most_s=120)
    burst = Load(READING, True, 1_000, once=True, at_most_s=90)
    open_ = Load(WAITING, True, 1_000, once=True, over_s=2, at_most_s=90)
    full = "1,000 streams at 50 chunks a second each, more than one core passes: do all end whole?"
    held = _under(open_, "held-1000", measuring.memory)
    return [
        Cell("paced-200", "200 streams at 50 chunks a second each", _under(speaking, "paced-200"), 3, 1),
        Cell("paced-1000", "1,000 streams at 10 chunks a second each", _under(reading, "paced-1000"), 2, 1),
        Cell("full-1000", full, _under(too_much, "full-1000"), 1, 0),
        Cell("burst-1000", "1,000 streams opened at the same instant", _under(burst, "burst-1000"), 2, 1),
        Cell("held-1000", "1,000 streams held open, in a new program", held, 2, 1, (DIRECT, API, V1, LITELLM)),
    ]


def _sizes() -> list[Cell]:
    found = []
    for n in HISTORIES:
        name, title = f"history-{n}", f"not streamed, 1 caller, {n} message{'s' if n > 1 else ''}"
        found.append(Cell(name, title, _under(Load(TYPICAL, False, 1, 1.0, messages=n), name), 3, 1))
    for n in LENGTHS:
        name = f"length-{n}"
        measure = _under(Load(Shape(n), True, 1, 1.0, each=2), name)
        found.append(Cell(name, f"a stream of {n:,} chunks, 1 caller", measure, 3, 1))
    return found


def _page() -> list[Cell]:
    found = []
    for n, history in (*((n, 0) for n in PAGE_LENGTHS), (1_000, PAGE_HISTORY)):
        name = f"page-{n}" + (f"-after-{history}" if history else "")
        title = f"the page: a reply of {n:,} chunks at {PAGE_PER_S} a second" + (
            f", after {history} messages" if history else ""
        )
        measure = partial(measuring.page, cell=name, shape=Shape(n, PAGE_PER_S), history=history)
        found.append(Cell(name, title, measure, 3, 0, (V1,)))
    return found


def _paint() -> list[Cell]:
    title = "the page in Chromium, opened for the first time, and a bare one of Gradio's"
    return [Cell("paint", title, measuring.paint, 5, 0, (V1, BARE))] if installed_browser() else []


def _cold() -> Cell:
    async def measure(bench: Bench, contender: Contender) -> Sample:
        return await measuring.cold_start(contender)

    return Cell("cold", "from its start to its first answer", measure, 3, 1, (V1, LITELLM))
