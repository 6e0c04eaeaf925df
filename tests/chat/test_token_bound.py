"""The upper bound of a text's tokens: below it for no text that was measured, and near."""

import json
import sys
import time
import unicodedata
from operator import itemgetter
from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from hfchat.chat.token_bound import MAX_COMPOSED_TOKENS, SLICE, max_text_tokens
from tests.support.rows import each_row

# What the tokenizer with the most tokens made of each text, of those that the module names; of natural texts also the median.
COUNTS: list[dict[str, Any]] = json.loads((Path(__file__).parents[1] / "data/token_counts.json").read_text("utf-8"))
NATURAL = [count for count in COUNTS if "median" in count]


@each_row("count", COUNTS, ids=itemgetter("id"))
def test_no_tokenizer_makes_more_tokens_of_a_text(count: dict[str, Any]) -> None:
    assert max_text_tokens(count["text"]) >= count["most"]


@each_row("count", NATURAL, ids=itemgetter("id"))
def test_what_people_write_is_counted_near_its_tokens(count: dict[str, Any]) -> None:
    assert max_text_tokens(count["text"]) <= min(3.3 * count["median"], 2.8 * count["most"])


@each_row("name", ["python", "javascript", "minified", "json", "english", "indented"])
def test_code_and_english_are_counted_at_twice_their_tokens(name: str) -> None:
    count = next(count for count in NATURAL if count["id"] == name)
    assert max_text_tokens(count["text"]) <= 2.1 * count["median"]


# One token for each byte, by every rule.
BYTES = ["7", "x", "Zq", "}", "\x00", "\n", "\t", "\U0001f642", "ከ", "\ue000", "xQ", "\U0001d400"]


@each_row("sign", BYTES)
@each_row("number", [1, 50, 2 * SLICE])
def test_what_is_in_no_vocabulary_is_counted_by_its_bytes(sign: str, number: int) -> None:
    text = sign * number
    size = len(text.encode())
    known = len(sign) == number  # a letter by itself is a token
    assert size * (not known) <= max_text_tokens(text) <= size + 1 + size // 1000


@given(st.text(max_size=40) | st.text(st.sampled_from("ab Z7'.\n\u0301é日"), max_size=40))
def test_no_text_is_counted_at_less_than_its_parts_of_the_smallest_kind(text: str) -> None:
    assert 1 <= max_text_tokens(text) <= 1 + 12 * len(text.encode(errors="replace"))


def test_a_long_text_counts_as_much_in_slices_as_whole() -> None:
    for text in ("the cat is here. ", "日本語 ", "e\u0301", "xqz", "getElementById(", "    \n"):
        long = text * 10_000
        assert abs(max_text_tokens(long) - 10 * max_text_tokens(text * 1000)) <= len(long.encode()) // 1000 + 100


# --- what a tokenizer composes (NFC) before it looks


def composed_bytes(text: str) -> int:
    return len(unicodedata.normalize("NFC", text).encode())


def test_no_sign_and_no_mark_of_unicode_is_longer_composed_than_is_counted() -> None:
    # Only signs that are made of others, by the canonical rule, are changed by composing.
    made = {sign: unicodedata.decomposition(sign) for sign in map(chr, range(sys.maxunicode + 1))}
    signs = [sign for sign, parts in made.items() if parts and not parts.startswith("<")]
    # What composing leaves as it is may be one token.
    changed = [sign for sign in signs if not unicodedata.is_normalized("NFC", sign)]
    assert [sign for sign in changed if composed_bytes(sign) > max_text_tokens(sign)] == []
    for sign in signs:
        parts = made[sign].split()
        if len(parts) != 2 or sign in changed:
            continue
        base, mark = (chr(int(part, 16)) for part in parts)
        # Composing a pair adds nothing; a mark that composes may break up another sign, and a word, which is counted with it.
        assert len(sign.encode()) <= len((base + mark).encode())
        assert not unicodedata.combining(mark) or max_text_tokens(f"the{mark}") >= 1 + MAX_COMPOSED_TOKENS


MARKS = st.sampled_from(
    "\u0300\u0301\u0308\u030a\u0323\u0327\u0328\u0331\u0338\u0342\u0345\u0346\u0316\u093c\u3099\u0591"
)
BASES = st.sampled_from("xqz\u01d5\u0390\u1f82\u0958\U0001d160\u1112\u1161\u11ab\u2adc")


@given(st.text(BASES | MARKS, max_size=12).filter(lambda text: not unicodedata.is_normalized("NFC", text)))
def test_no_text_is_longer_composed_than_is_counted(text: str) -> None:
    assert composed_bytes(text) <= max_text_tokens(text)


def test_the_cost_of_a_text_grows_with_its_length_alone() -> None:
    texts = {
        "one word": "the " * 500_000,
        "many words": "".join(f"{number:x}z" for number in range(400_000)),
        "camel case": "aB" * 1_000_000,
        "signs": "".join(map(chr, range(0x4E00, 0x4E00 + 20_900))) * 30,
        "spaces": " " * 2_000_000,
    }
    for name, text in texts.items():
        began = time.perf_counter()
        max_text_tokens(text)
        # 2 MB: 0.03 to 0.4 s measured.
        assert time.perf_counter() - began < 5, name
