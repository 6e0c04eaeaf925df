"""How many JSON values a body has is known before it is parsed, exactly, and nobody waits for the counting."""

import asyncio
import json
from collections.abc import Awaitable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as some

from hfchat.errors import InvalidRequest
from hfchat.http import json_bounds
from hfchat.http.json_bounds import check_json
from tests.support.rows import each_row

MIB = 1024 * 1024
LEAVES = some.one_of(some.none(), some.booleans(), some.integers(), some.text(alphabet='a\\",[{]}é\n', max_size=12))
TREES = some.recursive(
    LEAVES,
    lambda inside: (
        some.lists(inside, max_size=4) | some.dictionaries(some.text(alphabet='a\\",[{', max_size=4), inside)
    ),
    max_leaves=20,
)


def signs_of(value: Any) -> int:
    """How many commas and opening brackets there are in the JSON of it, outside of strings."""
    inside = list(value.values()) if isinstance(value, dict) else value if isinstance(value, list) else None
    if inside is None:
        return 0
    return 1 + max(len(inside) - 1, 0) + sum(map(signs_of, inside))


async def refused(body: bytes, max_values: int) -> bool:
    try:
        await check_json(body, max_values)
    except InvalidRequest as refusal:
        return (refusal.reason, refusal.params) == ("json_values", {"value": max_values})
    return False


@given(TREES, some.integers(1, 8))
def test_what_stands_in_strings_does_not_count(value: Any, slice_bytes: int) -> None:
    signs = signs_of(value)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(json_bounds, "SLICE_BYTES", slice_bytes)
        for written in (json.dumps(value), json.dumps(value, ensure_ascii=False)):
            assert not asyncio.run(refused(written.encode(), signs))
            if signs and len(written) > signs - 1:
                assert asyncio.run(refused(written.encode(), signs - 1))


MANY = {
    "lists": b"[" + b"[]," * (5 * MIB) + b"[]]",
    "numbers": b"[" + b"0," * (4 * MIB) + b"0]",
    "objects": b"[" + b"{}," * (4 * MIB) + b"0]",
    "names": b"{" + b",".join(b'"%x":0' % n for n in range(500_000)) + b"}",
    "texts": b"[" + b'"",' * (4 * MIB) + b"0]",
    "texts of quotes": b"[" + b'"\\"",' * (2 * MIB) + b"0]",
    "texts of backslashes": b"[" + b'"\\\\",' * (2 * MIB) + b"0]",
    "depth": b"[" * (8 * MIB),
    "after much text": b'["' + b"a," * (4 * MIB) + b'",' + b"0," * 200_000 + b"0]",
}
FEW = {
    "a table": json.dumps({"text": "a,b,[c],{d}\n" * MIB}).encode(),
    "a program": json.dumps({"text": 'f(["a", {"b": 1}, \'c\'])\\\n' * 400_000}).encode(),
    "backslashes": b'{"text":"' + b"\\\\" * (8 * MIB) + b',,"}',
    "a picture": b'{"url":"data:image/png;base64,' + b"A" * (15 * MIB) + b'"}',
}


@each_row("body", MANY.values(), ids=MANY)
def test_too_many_values_are_refused(body: bytes) -> None:
    assert asyncio.run(refused(body, 50_000))


@pytest.mark.parametrize("body", FEW.values(), ids=FEW)
def test_much_text_is_taken(body: bytes) -> None:
    assert not asyncio.run(refused(body, 50_000))


async def turns_during(work: Awaitable[Any]) -> int:
    """How often the event loop gets round while the work goes on."""
    turns = 0
    task = asyncio.ensure_future(work)
    while not task.done():
        turns += 1
        await asyncio.sleep(0)
    return turns


@pytest.mark.parametrize("body", FEW.values(), ids=FEW)
def test_others_go_on_while_a_large_body_is_counted(body: bytes) -> None:
    assert asyncio.run(turns_during(check_json(body, 50_000))) >= len(body) // json_bounds.SLICE_BYTES


def test_a_small_body_is_not_looked_at() -> None:
    assert asyncio.run(turns_during(check_json(b"[" * 50_000, 50_000))) <= 2
