"""Texts against which a regular expression may take more than linear time, made from the expression itself.

Each is a unit that is repeated, or a head followed by one repeated unit: beginnings of what the expression matches, cut at
every place, and what its unbounded repeats take.
"""

import random
import re
from collections.abc import Iterable, Iterator
from re import _constants as code  # type: ignore[attr-defined]
from re import _parser as parser  # type: ignore[attr-defined]
from typing import Any

# Of an expression with hundreds of alternatives not every beginning is tried.
MOST_TEXTS = 150
_REPEATS = (code.MAX_REPEAT, code.MIN_REPEAT, code.POSSESSIVE_REPEAT)
_OF_CATEGORY = {
    code.CATEGORY_DIGIT: "7",
    code.CATEGORY_NOT_DIGIT: "x",
    code.CATEGORY_SPACE: " ",
    code.CATEGORY_NOT_SPACE: "x",
    code.CATEGORY_WORD: "a",
    code.CATEGORY_NOT_WORD: "-",
}


def hostile_texts(pattern: "re.Pattern[Any]") -> list[tuple[str, str]]:
    """Heads and the units that are repeated behind them."""
    source = pattern.pattern
    source = source.decode("latin-1") if isinstance(source, bytes) else source
    tree = parser.parse(source, pattern.flags & ~re.UNICODE)
    repeated = sorted(_repeated(tree))
    texts = {("", unit) for sign in (*repeated, *"a7 -.\n") for unit in (sign, f"{sign}!", f"{sign} ")}
    beginnings = {beginning for most in (False, True) for word in _spelt(tree, most) for beginning in _cuts(word)}
    units = {("", unit) for start in beginnings for unit in (start, f"{start} ", f" {start}", f"{start}\n")}
    tails = {(start, sign) for start in beginnings for sign in repeated}
    return sorted(texts) + [text for some in (units, tails) for text in _some(sorted(some))]


def text_of(head: str, unit: str, chars: int) -> str:
    """The head, so many characters of the unit, and an end that fits nothing."""
    return head + (unit * (chars // len(unit) + 1))[:chars] + "\0"


def _some(texts: list[tuple[str, str]]) -> list[tuple[str, str]]:
    return texts if len(texts) <= MOST_TEXTS else random.Random(1).sample(texts, MOST_TEXTS)


def _cuts(word: list[str]) -> Iterator[str]:
    yield from ("".join(word[:end]) for end in range(1, len(word) + 1) if "".join(word[:end]))


def _spelt(tree: Iterable[Any], most: bool) -> list[list[str]]:
    """What the expression matches, in signs: each alternative once. `most`: with what is optional."""
    words: list[list[str]] = [[]]
    for op, value in tree:
        pieces = _pieces(op, value, most)
        # One alternative after the other, not each with each.
        words = [word + pieces[0] for word in words] + [words[0] + piece for piece in pieces[1:]]
    return words


def _pieces(op: Any, value: Any, most: bool) -> list[list[str]]:
    if op in _REPEATS:
        least, highest, inner = value
        times = max(least, min(1, highest)) if most else least
        return [word * times for word in _spelt(inner, most)] if times else [[]]
    if op is code.BRANCH:
        return [word for branch in value[1] for word in _spelt(branch, most)]
    if op in (code.SUBPATTERN, code.ATOMIC_GROUP):
        return _spelt(value[3] if op is code.SUBPATTERN else value, most)
    if op is code.LITERAL:
        return [[chr(value)]]
    if op is code.IN:
        return [[_member(value)]]
    signs = {code.NOT_LITERAL: "b" if value == ord("a") else "a", code.ANY: "a", code.GROUPREF: '"'}
    return [[signs[op]]] if op in signs else [[]]


def _member(items: list[Any]) -> str:
    if items[0][0] is code.NEGATE:
        return next(sign for sign in "a 7-\n.é\x01" if not any(_holds(item, sign) for item in items[1:]))
    op, value = items[0]
    if op is code.CATEGORY:
        return _OF_CATEGORY[value]
    return chr(value if op is code.LITERAL else value[0])


def _holds(item: Any, sign: str) -> bool:
    op, value = item
    if op is code.CATEGORY:
        return {"7": sign.isdigit(), " ": sign.isspace(), "a": sign.isalnum() or sign == "_"}.get(
            _OF_CATEGORY[value], True
        )
    return ord(sign) == value if op is code.LITERAL else value[0] <= ord(sign) <= value[1]


def _repeated(tree: Iterable[Any]) -> set[str]:
    """What the repeats take that have no small bound."""
    found: set[str] = set()
    for op, value in tree:
        if op in _REPEATS:
            if value[1] > 8:
                found |= {"".join(word) for word in _spelt(value[2], True)}
            found |= _repeated(value[2])
        elif op is code.BRANCH:
            found |= {unit for branch in value[1] for unit in _repeated(branch)}
        elif op is code.SUBPATTERN:
            found |= _repeated(value[3])
        elif op is code.ATOMIC_GROUP:
            found |= _repeated(value)
        elif op in (code.ASSERT, code.ASSERT_NOT):
            found |= _repeated(value[1])
    return found - {""}
