"""What is measured, cell by cell; each is measured of every contender it has, in turns."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace

from tests.bench.contenders import API, DIRECT, LITELLM, NGINX, V1, Contender, Starter
from tests.bench.load import Crowd, Load, Outcome, run
from tests.bench.page import read_reply
from tests.bench.processes import Program, ask_stub
from tests.bench.replies import Shape

Sample = dict[str, float]

TYPICAL = Shape(64)
SPEAKING = Shape(100, 50)
READING = Shape(40, 10)
HELD = Shape(12, 0.5)
HISTORIES = (1, 20, 200)
LENGTHS = (10, 100, 1_000, 10_000)
PAGE_LENGTHS = (100, 1_000, 5_000)
PAGE_PER_S = 500
PAGE_HISTORY = 100
FRESH = 8_000
DOORS = (V1, API)


@dataclass
class Bench:
    """The parts that every measurement needs; `seconds` at most are measured at once."""

    starter: Starter
    stub: Program
    stub_port: int
    seconds: float = 60.0
    wrong: list[str] = field(default_factory=list)
    noted: list[str] = field(default_factory=list)

    def say(self, cell: str, who: str, facts: list[str]) -> None:
        """Keep what was not as it should be; what LiteLLM does not manage is no fault of ours."""
        (self.noted if who == LITELLM else self.wrong).extend(f"{cell}, {who}: {fact}" for fact in facts)


@dataclass(frozen=True)
class Cell:
    """One thing that is measured: of the contenders `of`, `rounds` times at most, of LiteLLM `litellm_rounds` times."""

    name: str
    title: str
    measure: Callable[[Bench, Contender], Awaitable[Sample]]
    rounds: int
    litellm_rounds: int
    of: tuple[str, ...]

    def takes_part(self, who: str, turn: int) -> bool:
        """Whether this contender is measured in this round."""
        return who in self.of and (who != LITELLM or turn < self.litellm_rounds)


def _load_cell(
    name: str, title: str, load: Load, rounds: int = 5, litellm_rounds: int = 5, *, fresh: bool = False
) -> Cell:
    async def measure(bench: Bench, contender: Contender) -> Sample:
        door = contender.door
        if fresh and contender.hfchat is not None:
            door = replace(door, bearers=contender.hfchat.bearers(FRESH), fresh=True)
        asked = replace(load, seconds=min(load.seconds, bench.seconds))
        return await _measured(bench, contender, asked, lambda: run(asked, door), name)

    return Cell(name, title, measure, rounds, litellm_rounds, (DIRECT, NGINX, API, V1, LITELLM))


async def _measured(
    bench: Bench, contender: Contender, load: Load, doing: Callable[[], Awaitable[Outcome]], name: str
) -> Sample:
    ask_stub(bench.stub_port)
    program = contender.program
    began, own_s, stub_s = time.monotonic(), time.process_time(), bench.stub.cpu_s()
    server_s = program.cpu_s() if program else 0.0
    outcome = await doing()
    took = time.monotonic() - began
    sample = _figures(outcome)
    sample["load_busy"] = (time.process_time() - own_s + bench.stub.cpu_s() - stub_s) / took
    if program:
        used = program.cpu_s() - server_s
        sample["server_busy"] = used / took
        sample["cpu_us"] = used / max(outcome.requests, 1) * 1e6
    _check(bench, contender, load, outcome, name)
    return sample


def _check(bench: Bench, contender: Contender, load: Load, outcome: Outcome, name: str) -> None:
    """What the callers saw and what the stub saw must be one story."""
    counted = ask_stub(bench.stub_port)
    said = [f"{many} times: {error}" for error, many in outcome.errors.items()]
    if outcome.unfinished:
        said.append(f"{outcome.unfinished} replies unfinished")
    elif not outcome.errors:
        expected = {
            "requests": outcome.requests,
            "left_early": 0,
            "prompt_messages": outcome.requests * load.messages,
            "open_streams": 0,
        }
        said += [
            f"the stub counted {counted[fact]} {fact}, not {n}" for fact, n in expected.items() if counted[fact] != n
        ]
        most = load.callers + outcome.connections if contender.name == LITELLM else load.callers + 1
        if counted["connections"] > most:
            said.append(f"{counted['connections']} connections to the stub for {load.callers} callers")
    bench.say(name, contender.name, said)


def _figures(outcome: Outcome) -> Sample:
    sample = {"errors": float(sum(outcome.errors.values())), "unfinished": float(outcome.unfinished)}
    if outcome.totals:
        sample["rate"] = outcome.replies / outcome.seconds
        _add_percentiles(sample, "total", outcome.totals)
        _add_percentiles(sample, "first", outcome.firsts)
    if outcome.on_the_way:
        _add_percentiles(sample, "way", outcome.on_the_way)
    return sample


def _add_percentiles(sample: Sample, name: str, times_ns: list[int]) -> None:
    times_ns.sort()
    last = len(times_ns) - 1
    for key, share in (("p50", 0.5), ("p99", 0.99), ("max", 1.0)):
        sample[f"{name}_{key}"] = times_ns[int(last * share)] / 1e6


async def _held(bench: Bench, contender: Contender) -> Sample:
    """Memory of streams that are open at once, on a program that has served a little and never so many."""
    program, door = contender.program, contender.door
    load = Load(HELD, stream=True, callers=1_000, once=True, over_s=2.0, at_most_s=90.0)
    fresh: Program | None = None
    if contender.start_another is not None:
        fresh, port = await contender.start_another()
        program, door = fresh, replace(contender.door, port=port)
        await run(Load(TYPICAL, stream=True, callers=16, seconds=1.0), door)
    try:
        before_kib = program.rss_kib() if program else 0
        memory: Sample = {}

        async def hold() -> Outcome:
            crowd = Crowd(load, door)
            callers = await crowd.connect()
            running = asyncio.create_task(crowd.run(callers))
            with suppress(TimeoutError):
                async with asyncio.timeout(30):
                    await crowd.all_begun.wait()
            if program:
                memory["kib"] = (program.rss_kib() - before_kib) / load.callers
            outcome = await running
            for caller in callers:
                caller.close()
            return outcome

        measured = replace(contender, program=program)
        return {**await _measured(bench, measured, load, hold, "held-1000"), **memory}
    finally:
        if fresh is not None:
            fresh.end()


async def _cold(bench: Bench, contender: Contender) -> Sample:
    assert contender.start_another is not None
    program, _ = await contender.start_another()
    program.end()
    return {"start_s": program.answered_s}


def _page_cell(chunks: int, history: int = 0) -> Cell:
    shape = Shape(chunks, PAGE_PER_S)
    name = f"page-{chunks}" + (f"-after-{history}" if history else "")

    async def measure(bench: Bench, contender: Contender) -> Sample:
        program, hfchat = contender.program, contender.hfchat
        assert program is not None
        assert hfchat is not None
        (bearer,) = hfchat.bearers(1, (shape,))
        url = f"http://127.0.0.1:{contender.door.port}"
        shown = await read_reply(url, bearer, shape, program.cpu_s, history)
        if not shown.whole:
            bench.say(name, "the page", ["a reply was not the whole of what was asked for"])
        cost = shown.cost
        part = chunks // 5
        return {
            "first_p50": shown.first_s * 1e3,
            "events": float(shown.events),
            "chunk_us": (cost[-1][1] - cost[0][1]) / chunks * 1e6,
            "early_us": _cost_between(cost, cost[1][0], part),
            "late_us": _cost_between(cost, chunks - part, chunks),
        }

    title = f"the page: a reply of {chunks} chunks at {PAGE_PER_S} a second" + (
        f" after {history} messages" if history else ""
    )
    return Cell(name, title, measure, 3, 0, (V1,))


def _cost_between(cost: list[tuple[int, float]], first: int, last: int) -> float:
    """Microseconds of processor time per chunk, from about the `first` to about the `last`."""
    (begin, begin_s) = min(cost[1:], key=lambda at: abs(at[0] - first))
    (end, end_s) = min(cost[1:], key=lambda at: abs(at[0] - last))
    return (end_s - begin_s) / max(end - begin, 1) * 1e6


def cells() -> list[Cell]:
    """All cells, in their order."""
    found = []
    for kind, stream, said in (
        ("plain", False, "not streamed"),
        ("stream", True, f"streams of {TYPICAL.chunks} chunks"),
    ):
        for callers in (1, 16, 64):
            title = f"{said}, {callers} caller{'s' if callers > 1 else ''}"
            litellm_rounds = 5 if callers < 64 else 2
            found.append(_load_cell(f"{kind}-{callers}", title, Load(TYPICAL, stream, callers), 5, litellm_rounds))
    new_people = "not streamed, 16 callers, every token (JWT) never seen before"
    speaking = Load(SPEAKING, True, 200, seconds=6, warm_s=2, over_s=2, each=3)
    reading = Load(READING, True, 1_000, seconds=6, warm_s=4, over_s=4, each=1)
    too_much = "1,000 streams at 50 chunks a second each, more than one core passes: do all end whole?"
    found += [
        _load_cell("fresh-16", new_people, Load(TYPICAL, False, 16), 3, 1, fresh=True),
        _load_cell("paced-200", "200 streams at 50 chunks a second each", speaking, 3, 1),
        _load_cell("paced-1000", "1,000 streams at 10 chunks a second each", reading, 2, 1),
        _load_cell("full-1000", too_much, Load(SPEAKING, True, 1_000, once=True, over_s=2, at_most_s=120), 1, 0),
        _load_cell(
            "burst-1000",
            "1,000 streams opened at the same instant",
            Load(READING, True, 1_000, once=True, at_most_s=90),
            2,
            1,
        ),
        Cell("held-1000", "1,000 streams held open, on a new program", _held, 2, 1, (DIRECT, API, V1, LITELLM)),
    ]
    for n in HISTORIES:
        title = f"not streamed, 1 caller, {n} message{'s' if n > 1 else ''}"
        found.append(_load_cell(f"history-{n}", title, Load(TYPICAL, False, 1, 1.0, messages=n), 3, 1))
    for n in LENGTHS:
        title = f"a stream of {n:,} chunks, 1 caller"
        found.append(_load_cell(f"length-{n}", title, Load(Shape(n), True, 1, 1.0, each=2), 3, 1))
    found += [_page_cell(n) for n in PAGE_LENGTHS] + [_page_cell(1_000, PAGE_HISTORY)]
    found.append(Cell("cold", "from its start to its first answer", _cold, 3, 1, (V1, LITELLM)))
    return found


def shapes() -> tuple[Shape, ...]:
    """Every shape of reply that a cell asks for: each is a model."""
    paced = [Shape(n, PAGE_PER_S) for n in PAGE_LENGTHS]
    return (TYPICAL, SPEAKING, READING, HELD, *(Shape(n) for n in LENGTHS), *paced)
