"""The pages' sentences, and the choice of a language."""

import re
from pathlib import Path

import pytest

from hfchat.texts import PAGE, Language, language_of

SOURCES = [path for path in (Path(__file__).parent.parent / "hfchat").glob("*.py") if path.name != "texts.py"]

PREFERENCES: list[tuple[str, Language]] = [
    ("", "en"),
    ("es", "es"),
    ("ES-mx", "es"),
    ("es-419,es;q=0.9,en;q=0.8", "es"),
    ("en-GB,en;q=0.9,es;q=0.8", "en"),
    ("en;q=0.5, es;q=0.6", "es"),
    ("en; q=0.5 , es; q=0.6", "es"),
    ("fr-FR, de;q=0.9, es;q=0.1", "es"),
    ("fr, de", "en"),
    ("*", "en"),
    ("es, en", "es"),
    ("en, es", "en"),
    ("es;q=0", "en"),
    ("en;q=0, es;q=0.1", "es"),
    ("es;q=-1", "en"),
    ("es;q=nan", "en"),
    ("es;q=much, en", "en"),
    ("est", "en"),
    (",;,;q=,,", "en"),
    ("\x00\udcff;q=\x00", "en"),
    ("fr," * 100_000 + "es", "en"),
]


IDS = [ascii(header[:30]) for header, _ in PREFERENCES]


@pytest.mark.parametrize(("header", "language"), PREFERENCES, ids=IDS)
def test_the_preferred_of_our_two_languages_is_chosen(header: str, language: Language) -> None:
    assert language_of(header) == language


def test_both_languages_have_the_same_sentences() -> None:
    assert PAGE["en"].keys() == PAGE["es"].keys()
    assert all(PAGE["en"].values())
    assert all(PAGE["es"].values())


@pytest.mark.parametrize("key", PAGE["en"])
def test_a_sentence_is_translated_and_keeps_what_it_names(key: str) -> None:
    english, spanish = PAGE["en"][key], PAGE["es"][key]
    assert (english == spanish) == (key == "token")
    names = r"\{\w+\}|[A-Z]+_[A-Z_]+|↻"
    assert sorted(re.findall(names, english)) == sorted(re.findall(names, spanish))


@pytest.mark.parametrize("key", PAGE["en"])
def test_a_sentence_is_used(key: str) -> None:
    assert any(
        re.search(rf"""["']{key}["']|\b{key.rpartition("_")[0]}_\{{""", path.read_text("utf-8")) for path in SOURCES
    )
