"""`python -m tests.bench`: measure everybody in turns, and print the tables, the ratios, and which targets hold."""

import argparse
import gc
import json
import random
import resource
import sys
import tempfile
from pathlib import Path

import uvloop

from tests.bench.cells import Bench, Cell, cells, shapes
from tests.bench.contenders import API, DIRECT, LITELLM, NGINX, V1, Starter, found_litellm, only
from tests.bench.processes import LOADING, settle_on, stub
from tests.bench.report import Report, Results

EVERYBODY = [DIRECT, NGINX, API, V1, LITELLM]
QUICK_S = 0.7
QUICK = ("plain-1", "plain-16", "stream-1", "stream-16", "paced-200")


def main() -> int:
    """Returns the exit status: 1 where a reply was wrong or missing, or the stub saw something else than the callers."""
    asked = _parser().parse_args()
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(hard, 20_000)), hard))
    settle_on(LOADING)
    chosen = _chosen(asked)
    with tempfile.TemporaryDirectory(prefix="hfchat-bench-") as folder:
        return uvloop.run(_bench(asked, chosen, Path(folder)))


async def _bench(asked: argparse.Namespace, chosen: list[Cell], folder: Path) -> int:
    litellm = found_litellm(asked.litellm)
    with stub(folder) as (program, port), Starter(folder, shapes(), port, litellm) as starter:
        contenders = await starter.contenders(asked.contenders)
        bench = Bench(starter, program, port, QUICK_S if asked.quick else 60.0)
        gc.collect()
        gc.freeze()
        results: Results = {}
        names = [contender.name for contender in contenders]
        report = Report(chosen, [name for name in EVERYBODY if name in names], results)
        for cell in chosen:
            for turn in range(min(cell.rounds, asked.rounds)):
                random.shuffle(contenders)
                for contender in contenders:
                    if not cell.takes_part(contender.name, turn):
                        continue
                    _show(f"{cell.name}, round {turn + 1}: {contender.name}")
                    with only(contender, contenders):
                        sample = await cell.measure(bench, contender)
                    results.setdefault((cell.name, contender.name), []).append(sample)
            _show("")
            print("\n".join(report.table(cell)), flush=True)
    _print_summary(report, bench, asked)
    if asked.json:
        asked.json.write_text(json.dumps([[*key, samples] for key, samples in results.items()]))
    return 1 if bench.wrong else 0


def _show(progress: str) -> None:
    if sys.stderr.isatty():
        print(progress.ljust(60), end="\r", file=sys.stderr, flush=True)


def _print_summary(report: Report, bench: Bench, asked: argparse.Namespace) -> None:
    for name, there in ((LITELLM, bench.starter.litellm), (NGINX, bench.starter.nginx)):
        if name in asked.contenders and not there:
            print(f"\n{name}: not installed" + (" (name its command with --litellm)" if name == LITELLM else ""))
    print(f"\n{report.capacity()}")
    targets = list(report.targets())
    if targets:
        print("\nTargets")
        width = max(len(target.wanted) for target in targets)
        for target in targets:
            print(f"  {'yes' if target.held else 'NO ':3}  {target.wanted.ljust(width)}  {target.measured}")
    print(
        "\nEvery reply was whole and its caller's own."
        if not bench.wrong
        else "\nWrong:\n  " + "\n  ".join(bench.wrong)
    )


def _chosen(asked: argparse.Namespace) -> list[Cell]:
    found = cells()
    names = asked.cells or (list(QUICK) if asked.quick else [])
    if asked.quick:
        asked.rounds = min(asked.rounds, 2)
    unknown = [name for name in names if not any(_is_named(cell, name) for cell in found)]
    if unknown:
        sys.exit(f"no such cell: {', '.join(unknown)}; there are {', '.join(cell.name for cell in found)}")
    return [cell for cell in found if not names or any(_is_named(cell, name) for name in names)]


def _is_named(cell: Cell, name: str) -> bool:
    return cell.name == name or cell.name.startswith(f"{name}-")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help=f"two short rounds of: {', '.join(QUICK)}")
    parser.add_argument("--cells", type=_names, help="only these, comma-separated: plain-16, or plain for all of them")
    parser.add_argument("--contenders", type=_names, default=EVERYBODY, help=f"only these of: {', '.join(EVERYBODY)}")
    parser.add_argument("--rounds", type=int, default=5, help="at most so many of each cell")
    parser.add_argument("--litellm", help="the command of LiteLLM's proxy, or $HFCHAT_BENCH_LITELLM; else on PATH")
    parser.add_argument("--json", type=Path, help="write every sample into this file")
    return parser


def _names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",") if name.strip()]


if __name__ == "__main__":
    sys.exit(main())
