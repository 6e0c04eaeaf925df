"""A table of rows in one test: pytest's own cost of a test is 4 ms, which is most of what a row of a pure function takes."""

import asyncio
import inspect
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import wraps
from itertools import repeat
from typing import Any

import pytest

Test = Callable[..., Any]
# `pytest.raises` that sees nothing, and a table within a table, raise what is no `Exception`.
FAILURES = (Exception, pytest.fail.Exception, BaseExceptionGroup)


def each_row(
    names: str | Sequence[str],
    values: Iterable[Any],
    ids: Iterable[object] | Callable[[Any], object] = repr,
    *,
    at_once: bool = False,
) -> Callable[[Test], Test]:
    """Like `pytest.mark.parametrize`, in one test, which goes through all rows and reports each that fails, with its id.

    All rows have the same fixtures. `at_once`: they wait together, in tasks or in threads. For what needs its fixtures anew,
    or takes long, `parametrize` remains.
    Raises: BaseExceptionGroup: with what each failing row raised.
    """
    columns = [names] if isinstance(names, str) else list(names)
    rows = [(value,) if isinstance(names, str) else value for value in values]
    listed_ids = None if callable(ids) else list(ids)
    assert rows, "a table without rows"
    assert listed_ids is None or len(listed_ids) == len(rows), "an id for each row"

    def row_id(place: int) -> str:
        if callable(ids):
            return "-".join(str(ids(value)) for value in rows[place])
        return str(listed_ids[place])

    def check(outcomes: list[BaseException | None]) -> None:
        failures = {place: outcome for place, outcome in enumerate(outcomes) if outcome is not None}
        for place, failure in failures.items():
            failure.add_note(f"in the row: {row_id(place)}")
        if failures:
            failing = ", ".join(map(row_id, failures))
            raise BaseExceptionGroup(f"{len(failures)} of {len(rows)} rows: {failing}", list(failures.values()))

    def decorate(test: Test) -> Test:
        signature = inspect.signature(test)
        fixtures = [parameter for name, parameter in signature.parameters.items() if name not in columns]

        def outcome(place: int, arguments: dict[str, Any]) -> BaseException | None:
            try:
                test(**arguments, **dict(zip(columns, rows[place], strict=True)))
            except FAILURES as failure:
                return failure
            return None

        async def outcome_async(place: int, arguments: dict[str, Any]) -> BaseException | None:
            try:
                await test(**arguments, **dict(zip(columns, rows[place], strict=True)))
            except FAILURES as failure:
                return failure
            return None

        @wraps(test)
        def run(**arguments: Any) -> None:
            if at_once:
                with ThreadPoolExecutor(len(rows)) as pool:
                    check(list(pool.map(outcome, range(len(rows)), repeat(arguments))))
            else:
                check([outcome(place, arguments) for place in range(len(rows))])

        @wraps(test)
        async def run_async(**arguments: Any) -> None:
            outcomes = [outcome_async(place, arguments) for place in range(len(rows))]
            check(await asyncio.gather(*outcomes) if at_once else [await outcome for outcome in outcomes])

        decorated: Any = run_async if inspect.iscoroutinefunction(test) else run
        decorated.__signature__ = signature.replace(parameters=fixtures)
        return decorated  # type: ignore[no-any-return]

    return decorate
