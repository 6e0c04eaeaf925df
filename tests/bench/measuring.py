"""One measurement of one contender: the callers are let loose, and what came of it becomes a few figures.

What the callers saw and what the stub saw must be one story; where it is not, that is said.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import asdict, dataclass, field, replace

from tests.bench.contenders import LITELLM, Contender
from tests.bench.load import Crowd, Load, Outcome, run
from tests.bench.page import read_reply
from tests.bench.painting import see
from tests.bench.processes import ask_stub
from tests.bench.programs import Stub
from tests.bench.replies import TYPICAL, Shape

Sample = dict[str, float]

FRESH_TOKENS = 8_000


@dataclass
class Bench:
    """The parts that every measurement needs; `seconds` at most are measured at once."""

    stub: Stub
    seconds: float = 60.0
    wrong: list[str] = field(default_factory=list)
    noted: list[str] = field(default_factory=list)

    def say(self, cell: str, who: str, facts: list[str]) -> None:
        """Keep what was not as it should be; what LiteLLM does not manage is no fault of ours."""
        (self.noted if who == LITELLM else self.wrong).extend(f"{cell}, {who}: {fact}" for fact in facts)


async def rates_and_times(bench: Bench, contender: Contender, cell: str, load: Load) -> Sample:
    """Replies a second, and how long they and their first words took."""
    load = replace(load, seconds=min(load.seconds, bench.seconds))
    return await _measured(bench, contender, cell, load, lambda: run(load, contender.door))


async def of_new_people(bench: Bench, contender: Contender, cell: str, load: Load) -> Sample:
    """The same, where no token (JWT) was seen before: nothing that is known of a caller helps."""
    if contender.hfchat is None:
        return await rates_and_times(bench, contender, cell, load)
    bearers = contender.hfchat.bearers(FRESH_TOKENS)
    fresh = replace(contender, door=replace(contender.door, bearers=bearers, fresh=True))
    return await rates_and_times(bench, fresh, cell, load)


async def over_tls(bench: Bench, contender: Contender, cell: str, load: Load) -> Sample:
    """The same, of a program that speaks TLS with the stub, as with a provider: its connections must be used again."""
    async with _another(contender, secure=True) as other:
        await run(Load(load.shape, load.stream, load.callers, seconds=0.5), other.door)
        return await rates_and_times(bench, other, cell, load)


async def memory(bench: Bench, contender: Contender, cell: str, load: Load) -> Sample:
    """What each of many open streams takes, in a program that has served a little and never so many."""
    async with _another(contender) as other:
        program = other.program
        if program:
            await run(Load(Shape(64), stream=True, callers=16, seconds=1.0), other.door)
        before_kib = program.rss_kib() if program else 0
        held: Sample = {}

        async def hold() -> Outcome:
            crowd = Crowd(load, other.door)
            async with crowd.connected() as callers:
                running = asyncio.create_task(crowd.run(callers))
                with suppress(TimeoutError):
                    async with asyncio.timeout(30):
                        await crowd.all_begun.wait()
                if program:
                    held["kib"] = (program.rss_kib() - before_kib) / load.callers
                return await running

        return {**await _measured(bench, other, cell, load, hold), **held}


async def cold_start(contender: Contender) -> Sample:
    """From the start of the process to its first answer."""
    async with _another(contender) as other:
        assert other.program is not None
        return {"start_s": other.program.answered_s}


async def page(bench: Bench, contender: Contender, cell: str, shape: Shape, history: int) -> Sample:
    """One reply as the chat page's reader gets it, and the processor time it took: all of it, and early and late in it."""
    program, hfchat = contender.program, contender.hfchat
    assert program is not None
    assert hfchat is not None
    (bearer,) = hfchat.bearers(1, (shape,))
    url = f"http://127.0.0.1:{contender.door.port}"
    shown = await read_reply(url, bearer, shape, program.cpu_s, history)
    if not shown.whole:
        bench.say(cell, "the page", ["a reply was not the whole of what was asked for"])
    cost, part = shown.cost, shape.chunks // 5
    return {
        "first_p50": shown.first_s * 1e3,
        "events": float(shown.events),
        "chunk_us": (cost[-1][1] - cost[0][1]) / shape.chunks * 1e6,
        "early_us": _cost_between(cost, cost[1][0], part),
        "late_us": _cost_between(cost, shape.chunks - part, shape.chunks),
    }


async def paint(bench: Bench, contender: Contender) -> Sample:
    """What a person waits for who opens the page and asks."""
    token = contender.hfchat.bearers(1, (TYPICAL,))[0] if contender.hfchat else None
    # The other way to drive a browser is for programs without an event loop, which a thread has none of.
    seen = await asyncio.to_thread(see, f"http://127.0.0.1:{contender.door.port}/", token)
    return asdict(seen)


def _cost_between(cost: list[tuple[int, float]], first: int, last: int) -> float:
    """Microseconds of processor time per chunk, from about the `first` to about the `last`."""
    (begin, begin_s) = min(cost[1:], key=lambda at: abs(at[0] - first))
    (end, end_s) = min(cost[1:], key=lambda at: abs(at[0] - last))
    return (end_s - begin_s) / max(end - begin, 1) * 1e6


@asynccontextmanager
async def _another(contender: Contender, *, secure: bool = False) -> AsyncIterator[Contender]:
    """The contender with a new program of its own, while its first is held still; direct is as it is."""
    if contender.program is None or contender.start_another is None:
        yield contender
        return
    contender.program.hold()
    try:
        program, port = await contender.start_another(secure)
        try:
            yield replace(contender, program=program, door=replace(contender.door, port=port))
        finally:
            program.end()
    finally:
        contender.program.go_on()


async def _measured(
    bench: Bench, contender: Contender, cell: str, load: Load, doing: Callable[[], Awaitable[Outcome]]
) -> Sample:
    ask_stub(bench.stub.port)
    program = contender.program
    began, own_s, stub_s = time.monotonic(), time.process_time(), bench.stub.program.cpu_s()
    server_s = program.cpu_s() if program else 0.0
    outcome = await doing()
    took = time.monotonic() - began
    sample = _figures(outcome)
    sample["load_busy"] = (time.process_time() - own_s + bench.stub.program.cpu_s() - stub_s) / took
    if program:
        used = program.cpu_s() - server_s
        sample["server_busy"] = used / took
        sample["cpu_us"] = used / max(outcome.requests, 1) * 1e6
    bench.say(cell, contender.name, _what_is_wrong(outcome, ask_stub(bench.stub.port), contender, load))
    return sample


def _what_is_wrong(outcome: Outcome, counted: dict[str, int], contender: Contender, load: Load) -> list[str]:
    said = [f"{many} times: {error}" for error, many in outcome.errors.items()]
    if contender.door.fresh and outcome.requests > len(contender.door.bearers):
        said.append("there were more requests than new tokens")
    if outcome.unfinished:
        return [*said, f"{outcome.unfinished} replies unfinished"]
    if outcome.errors:
        return said
    expected = {
        "requests": outcome.requests,
        "left_early": 0,
        "prompt_messages": outcome.requests * load.messages,
        "open_streams": 0,
    }
    said += [f"the stub counted {counted[fact]} {fact}, not {n}" for fact, n in expected.items() if counted[fact] != n]
    if contender.name != LITELLM and counted["connections"] > load.callers:
        said.append(f"{counted['connections']} connections to the stub for {load.callers} callers")
    if load.once and counted["most_streams"] < load.callers and load.shape.per_second < 1:
        said.append(f"{counted['most_streams']} streams were open at once, not {load.callers}")
    return said


def _figures(outcome: Outcome) -> Sample:
    sample = {"errors": float(sum(outcome.errors.values())), "unfinished": float(outcome.unfinished)}
    if outcome.totals:
        sample["rate"] = len(outcome.totals) / outcome.seconds
        for name, times_ns in (("total", outcome.totals), ("first", outcome.firsts)):
            _add_percentiles(sample, name, times_ns)
    for name, times_ns in (("way", outcome.on_the_way), ("gap", outcome.gaps)):
        if times_ns:
            _add_percentiles(sample, name, times_ns)
    return sample


def _add_percentiles(sample: Sample, name: str, times_ns: list[int]) -> None:
    times_ns.sort()
    last = len(times_ns) - 1
    for key, share in (("p50", 0.5), ("p99", 0.99), ("max", 1.0)):
        sample[f"{name}_{key}"] = times_ns[int(last * share)] / 1e6
