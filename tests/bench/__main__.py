"""`python -m tests.bench`: measure everybody in turns, and print the tables, which targets hold, and the ratios. For Linux."""

import argparse
import gc
import json
import random
import resource
import signal
import sys
import tempfile
from pathlib import Path

import uvloop

from tests.bench import verdicts
from tests.bench.cells import Cell, cells, shapes
from tests.bench.contenders import EVERYBODY, LITELLM, NGINX, Contender, Starter, only
from tests.bench.measuring import Bench
from tests.bench.processes import LOADING, settle_on
from tests.bench.programs import litellm_command, start_stub
from tests.bench.report import table
from tests.bench.results import Results

QUICK_S = 0.7
QUICK = ("plain-1", "plain-16", "stream-1", "stream-16", "paced-200")
OPEN_FILES = 20_000


def main() -> int:
    """Returns the exit status: 1 where a reply was wrong or missing, or the stub saw something else than the callers."""
    asked = _parser().parse_args()
    if sys.platform != "linux":
        sys.exit("This reads /proc and holds programs to cores: it runs on Linux.")
    chosen = _chosen(asked)
    _allow_many_open_files()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("stopped"))  # so that it ends the programs it holds still
    settle_on(LOADING)
    with tempfile.TemporaryDirectory(prefix="hfchat-bench-") as folder:
        return uvloop.run(_bench(asked, chosen, Path(folder)))


async def _bench(args: argparse.Namespace, chosen: list[Cell], folder: Path) -> int:
    wanted = [name for name in args.contenders if any(name in cell.of for cell in chosen)]
    stub = start_stub(folder)
    try:
        await stub.program.answers(stub.port, "/counted")
        with Starter(folder, stub) as starter:
            contenders = await starter.contenders(wanted, shapes(), litellm_command(args.litellm))
            bench = Bench(stub, QUICK_S if args.quick else 60.0)
            results = await _measure(bench, chosen, contenders, 1 if args.quick else args.rounds, args.json)
    finally:
        stub.program.end()
    _print_summary(results, bench, set(wanted) - {one.name for one in contenders})
    return 1 if bench.wrong else 0


async def _measure(
    bench: Bench, chosen: list[Cell], contenders: list[Contender], rounds: int, file: Path | None
) -> Results:
    """Every cell in turn. What fails in one is said at the end, and the others are measured all the same."""
    results = Results()
    gc.collect()
    gc.freeze()
    for cell in chosen:
        for turn in range(min(cell.rounds, rounds)):
            random.shuffle(contenders)
            for contender in (one for one in contenders if cell.takes_part(one.name, turn)):
                _show(f"{cell.name}, round {turn + 1}: {contender.name}")
                try:
                    with only(contender, contenders):
                        results.add(cell.name, contender.name, await cell.measure(bench, contender))
                except Exception as failure:
                    bench.say(cell.name, contender.name, [f"it could not be measured: {failure!r}"])
        _show("")
        print("\n".join(table(cell, results)), flush=True)
        if file:
            file.write_text(json.dumps([[*key, samples] for key, samples in results.samples.items()]))
    return results


def _show(progress: str) -> None:
    if sys.stderr.isatty():
        print(progress.ljust(60), end="\r", file=sys.stderr, flush=True)


def _print_summary(results: Results, bench: Bench, missing: set[str]) -> None:
    for name in sorted(missing & {LITELLM, NGINX}):
        print(f"\n{name}: not installed{' (--litellm names its command)' if name == LITELLM else ''}")
    print("", *verdicts.slack(results), sep="\n")
    if targets := verdicts.targets(results):
        print("\nTargets")
        width = max(len(target.wanted) for target in targets)
        for target in targets:
            print(f"  {'yes' if target.held else 'NO ':3}  {target.wanted.ljust(width)}  {target.measured}")
    if ratios := list(verdicts.readme_table(results)):
        print("", *ratios, sep="\n")
    for title, facts in (("Wrong", bench.wrong), (f"What {LITELLM} did not manage", bench.noted)):
        if facts:
            print(f"\n{title}", *facts, sep="\n  ")
    if not bench.wrong:
        print("\nEvery other reply was whole and its caller's own, and the stub saw what the callers did.")


def _allow_many_open_files() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = OPEN_FILES if hard == resource.RLIM_INFINITY else min(hard, OPEN_FILES)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, wanted), hard))


def _chosen(args: argparse.Namespace) -> list[Cell]:
    found = cells()
    names = args.cells or (list(QUICK) if args.quick else [])
    unknown = [name for name in names if not any(_is_named(cell, name) for cell in found)]
    unknown += [name for name in args.contenders if name not in EVERYBODY]
    if unknown:
        sys.exit(
            f"not known: {', '.join(unknown)}; there are {', '.join(cell.name for cell in found)}; {', '.join(EVERYBODY)}"
        )
    return [cell for cell in found if not names or any(_is_named(cell, name) for name in names)]


def _is_named(cell: Cell, name: str) -> bool:
    return cell.name == name or cell.name.startswith(f"{name}-")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument(
        "--quick", action="store_true", help=f"one short round, of {', '.join(QUICK)} where no cells are named"
    )
    parser.add_argument("--cells", type=_names, help="only these, comma-separated: plain-16, or plain for all of them")
    parser.add_argument(
        "--contenders", type=_names, default=list(EVERYBODY), help=f"only these of: {', '.join(EVERYBODY)}"
    )
    parser.add_argument("--rounds", type=int, default=5, help="at most so many of each cell")
    parser.add_argument("--litellm", help="the command of LiteLLM's proxy, or $HFCHAT_BENCH_LITELLM; else on PATH")
    parser.add_argument("--json", type=Path, help="write every sample into this file, after each cell")
    return parser


def _names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",") if name.strip()]


if __name__ == "__main__":
    sys.exit(main())
