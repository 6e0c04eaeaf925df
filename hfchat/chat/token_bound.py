"""Upper bound of a text's tokens, on any tokenizer in use, without one. Pure.

A tokenizer makes at most one token of each byte, and far fewer of common words. So words that every tokenizer measured knows
(`words.txt`) are counted at their tokens there, and all else by its bytes. A text that is written to have many tokens is not made
of common words.

Measured on Llama 2 and 3.1, Mistral 7B, Tekken, Qwen 1 and 3, DeepSeek V3 and V4, Gemma 3, cl100k and o200k (gpt-oss): the ratio
of the bound to the tokens of the median tokenizer, and of the one with the most. Python and JavaScript 2.0 and 1.7, minified 1.7
and 1.4, JSON 2.0 and 1.6, English 2.0 and 1.7, Spanish 2.3 and 1.9, Chinese 2.5 and 1.5, Japanese 1.9 and 1.2, French 2.9 and
2.4, German 3.1 and 2.8, Russian 3.3 and 2.4. By bytes it was 3 to 5, of Russian 7. `tests/data/token_counts.json` has texts that
no bound may be below: words and characters in all surroundings, and texts made to have many tokens.
"""

import math
import re
import string
from collections import Counter
from pathlib import Path

# One token, two tokens, in any place where they are whole words; and characters that are one token each.
_ONE, _TWO, _CHARACTERS = Path(__file__).with_name("words.txt").read_text("utf-8").splitlines()
_LETTERS = string.ascii_letters.encode()
_TOKENS: dict[bytes, int] = {
    **{word.encode(): tokens for tokens, words in ((1, _ONE), (2, _TWO)) for word in words.split()},
    **{word.capitalize().encode(): tokens + 1 for tokens, words in ((1, _ONE), (2, _TWO)) for word in words.split()},
    **{bytes([letter]): 1 for letter in _LETTERS},
}
# Parts of a word in camel case.
_PARTS = re.compile(rb"[A-Z]?[a-z]+|[A-Z]+(?![a-z])")
# A single space is part of the word after it, and of nothing else; of several, those before the last are one token, in Llama 2
# one for each 16.
_SPACE_TOKENS = 0.25
# Some tokenizers break a word after such a beginning.
_CONTRACTIONS = re.compile(rb"'[sdmtlrv]", re.IGNORECASE)
_TO_WORDS = bytes(byte if byte in _LETTERS else 32 for byte in range(256))
_TO_KINDS = bytes(97 if byte in _LETTERS else 32 if byte == 32 else 46 for byte in range(256))
# Tokenizers may compose a text (NFC) first. That adds bytes in two cases: a character that NFC always decomposes, and a mark that
# joins the character before it, which then is another, and its word too. Decomposed, a character has at most 8 bytes more;
# a test checks both for all of Unicode.
_COMPOSED = re.compile(
    "[\\u0344\\u0958-\\u095f\\u09dc-\\u09df\\u0a33-\\u0a5e\\u0b5c\\u0b5d\\u0f43-\\u0fb9\\u2adc\\ufa6c\\ufacf-\\ufad7\\ufb1d-\\ufb4e"
    "\\U0001d15e-\\U0001d164\\U0001d1bb-\\U0001d1c0\\u0300-\\u0345\\u0653-\\u0655\\u093c\\u0c56\\u0dca\\u3099\\u309a\\U000110ba]"
)
MAX_COMPOSED_TOKENS = 8
_KNOWN_CHARACTERS = re.compile(f"[{_CHARACTERS}]+")
# In slices, between which other threads run. The ends of a word that is cut may be known where the word is not.
SLICE = 16_384
_CUT_TOKENS = 8


def max_text_tokens(text: str) -> int:
    """The most tokens that any tokenizer makes of the text."""
    raw = text.encode(errors="replace")
    starts = range(0, len(raw), SLICE)
    # SentencePiece puts a space in front.
    tokens = (
        1 + _CUT_TOKENS * max(len(starts) - 1, 0) + sum(_max_tokens(raw[start : start + SLICE]) for start in starts)
    )
    if len(raw) != len(text):
        for start in range(0, len(text), SLICE):
            piece = text[start : start + SLICE]
            known = "".join(_KNOWN_CHARACTERS.findall(piece))
            tokens -= len(known.encode()) - len(known)
            tokens += MAX_COMPOSED_TOKENS * len(_COMPOSED.findall(piece))
    return math.ceil(tokens)


def is_common_word(word: str) -> bool:
    """Whether it is one of the common English words that every tokenizer knows, of two letters or more."""
    return len(word) > 1 and word.isascii() and word.lower().encode() in _TOKENS


def _max_tokens(raw: bytes) -> float:
    words = Counter(raw.translate(_TO_WORDS).split())
    tokens: float = sum(count * (_TOKENS.get(word) or _unknown(word)) for word, count in words.items())
    kinds, spaces = raw.translate(_TO_KINDS), raw.count(b" ")
    before_others, before_words = kinds.count(b" ."), 0
    if b"  " in raw:
        before_others, before_words = before_others + kinds.count(b"  ."), kinds.count(b"  a")
    tokens += _SPACE_TOKENS * spaces + (1 - _SPACE_TOKENS) * before_others + (1 - 2 * _SPACE_TOKENS) * before_words
    return tokens + len(raw.translate(None, _LETTERS)) - spaces + len(_CONTRACTIONS.findall(raw))


def _unknown(word: bytes) -> int:
    return len(word) if word.islower() else sum(_TOKENS.get(part) or len(part) for part in _PARTS.findall(word))
