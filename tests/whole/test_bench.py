"""`python -m tests.bench` still measures the program as it is now: its smallest cells, end to end."""

import json
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.bench.__main__ import _measure
from tests.bench.cells import Cell
from tests.bench.measuring import Bench
from tests.support.process import REPOSITORY


def test_the_benchmark_measures_both_doors_and_the_page(tmp_path: Path) -> None:
    file = tmp_path / "samples.json"
    completed = subprocess.run(
        [
            *(
                sys.executable,
                "-m",
                "tests.bench",
                "--quick",
                "--rounds",
                "1",
                "--cells",
                "stream-1,length-1000,page-100,paint",
            ),
            *(
                "--contenders",
                "direct,/v1,/api/ai/chat,LiteLLM,bare Gradio",
                "--litellm",
                "no-such-program",
                "--json",
                str(file),
            ),
        ],
        cwd=REPOSITORY,
        check=False,
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert completed.returncode == 0, completed.stdout + completed.stderr
    assert "LiteLLM: not installed" in completed.stdout
    samples = {(cell, who): found for cell, who, found in json.loads(file.read_text())}
    assert {who for cell, who in samples if cell == "stream-1"} == {"direct", "/v1", "/api/ai/chat"}
    assert all(sample["rate"] > 0 for (cell, _), (sample,) in samples.items() if cell == "stream-1")
    assert samples["page-100", "/v1"][0]["events"] > 2
    for who in ("/v1", "bare Gradio"):
        (seen,) = samples["paint", who]
        assert min(seen[figure] for figure in ("paint_ms", "box_ms", "word_ms")) > 0


@pytest.mark.anyio
async def test_a_cell_that_fails_is_said_and_the_others_are_measured_and_written(tmp_path: Path) -> None:
    async def refused(*_: Any) -> dict[str, float]:
        raise ConnectionRefusedError

    async def measured(*_: Any) -> dict[str, float]:
        return {"rate": 1.0}

    cells = [Cell("plain-1", "", measured, 1), Cell("plain-16", "", refused, 1), Cell("stream-1", "", measured, 1)]
    contenders: Any = [SimpleNamespace(name="direct", program=None)]
    bench, file = Bench(stub=None), tmp_path / "samples.json"  # type: ignore[arg-type]
    await _measure(bench, cells, contenders, 1, file)
    assert bench.wrong == ["plain-16, direct: it could not be measured: ConnectionRefusedError()"]
    assert json.loads(file.read_text()) == [
        ["plain-1", "direct", [{"rate": 1.0}]],
        ["stream-1", "direct", [{"rate": 1.0}]],
    ]
