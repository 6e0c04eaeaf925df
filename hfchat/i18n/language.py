"""Languages: those that have a file of sentences here, and the choice among them by `Accept-Language`.

A language that was chosen on the page goes first: gate/language_cookie.py puts it into that header.
"""

from pathlib import Path
from typing import TypeAlias

# The name of a language's file, as HTML's `lang` and `Accept-Language` write it: "en", "pt-BR".
Language: TypeAlias = str

FOLDER = Path(__file__).parent
ENGLISH: Language = "en"
# English first: it is the fallback.
LANGUAGES: tuple[Language, ...] = (ENGLISH, *sorted({path.stem for path in FOLDER.glob("*.json")} - {ENGLISH}))
MAX_HEADER_CHARS = 1000
_BY_TAG = {language.lower(): language for language in LANGUAGES}


def language_of(accept_language: str) -> Language:
    """The language of ours that an `Accept-Language` header prefers (RFC 9110 section 12.5.4); English if it names none.

    A tag of which there is no file is shortened from its end until there is one: "zh-Hant-TW" is read as "zh" (RFC 4647
    section 3.4).
    """
    preferred, best = ENGLISH, (0.0, 0)
    for place, item in enumerate(accept_language[:MAX_HEADER_CHARS].split(",")):
        tag, _, weight = item.strip().partition(";")
        language = _lookup(tag.strip().lower())
        try:
            quality = float(weight.partition("=")[2]) if weight else 1.0
        except ValueError:
            continue
        if language is not None and (quality, -place) > best and quality > 0:
            preferred, best = language, (quality, -place)
    return preferred


def _lookup(tag: str) -> Language | None:
    while tag:
        if tag in _BY_TAG:
            return _BY_TAG[tag]
        tag = tag.rpartition("-")[0]
    return None
