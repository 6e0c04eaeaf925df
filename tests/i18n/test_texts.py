"""The pages' sentences, and the choice of a language."""

import re
from pathlib import Path

import pytest

from hfchat.i18n.page import CHAT
from hfchat.i18n.texts import PAGE, Language, language_of, spoken
from hfchat.limits import WINDOWS

TEXTS = ("texts.py", "page_texts.py")
HFCHAT = Path(__file__).parents[2] / "hfchat"
SOURCES = [path for kind in ("*.py", "*.html") for path in HFCHAT.rglob(kind) if path.name not in TEXTS]

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


ALL = {language: {**PAGE[language], **CHAT[language]} for language in PAGE}
# Words that are the same in both languages, or that name the other one.
SAME = {"token", "program_token", "uncounted", "answered"}


def test_both_languages_have_the_same_sentences() -> None:
    for texts in (PAGE, CHAT):
        assert texts["en"].keys() == texts["es"].keys()
    assert not PAGE["en"].keys() & CHAT["en"].keys()
    assert all(ALL["en"].values())
    assert all(ALL["es"].values())


@pytest.mark.parametrize("key", ALL["en"])
def test_a_sentence_is_translated_and_keeps_what_it_names(key: str) -> None:
    english, spanish = ALL["en"][key], ALL["es"][key]
    assert (english == spanish) == (key in SAME)
    names = r"\{\w+\}|[A-Z]+_[A-Z_]+|↻"
    assert sorted(re.findall(names, english)) == sorted(re.findall(names, spanish))


@pytest.mark.parametrize("key", ALL["en"])
def test_a_sentence_is_used(key: str) -> None:
    used = rf"""["'](hfchat_)?{key}["']|\b{key.rpartition("_")[0]}_\{{"""
    assert any(re.search(used, path.read_text("utf-8")) for path in SOURCES)


# a window: what stands after "requests a", after "tokens for", and when what was used comes back
SPOKEN_WINDOWS: dict[str, dict[Language, tuple[str, str, str]]] = {
    "second": {"en": ("second", "this second", "in 1 s"), "es": ("segundo", "este segundo", "en 1 s")},
    "minute": {"en": ("minute", "this minute", "in 1 s"), "es": ("minuto", "este minuto", "en 1 s")},
    "hour": {"en": ("hour", "this hour", "in 1 s"), "es": ("hora", "esta hora", "en 1 s")},
    "day": {"en": ("day", "today", "at midnight UTC"), "es": ("día", "hoy", "a medianoche UTC")},
    "week": {
        "en": ("week", "this week", "on Monday at midnight UTC"),
        "es": ("semana", "esta semana", "el lunes a medianoche UTC"),
    },
    "month": {
        "en": ("month", "this month", "on the first of next month at midnight UTC"),
        "es": ("mes", "este mes", "el primero del próximo mes a medianoche UTC"),
    },
}


@pytest.mark.parametrize("language", PAGE)
@pytest.mark.parametrize("window", WINDOWS)
def test_every_window_of_a_limit_has_words(window: str, language: Language) -> None:
    said = spoken({"window": window, "reset_s": 1}, language)
    assert (said["unit"], said["period"], said["return"]) == SPOKEN_WINDOWS[window][language]


NUMBERS = [
    (0, "0", "0"),
    (999, "999", "999"),
    (50_000, "50,000", "50\u00a0000"),
    (10**6, "1,000,000", "1\u00a0000\u00a0000"),
]


@pytest.mark.parametrize(("number", "english", "spanish"), NUMBERS, ids=[str(number) for number, _, _ in NUMBERS])
def test_a_number_is_written_as_the_language_does(number: int, english: str, spanish: str) -> None:
    assert (spoken({"left": number}, "en")["left"], spoken({"left": number}, "es")["left"]) == (english, spanish)


DURATIONS = [
    (0, "1 s"),
    (1, "1 s"),
    (12, "12 s"),
    (119, "119 s"),
    (120, "2 min"),
    (121, "3 min"),
    (7199, "120 min"),
    (7200, "2 h"),
    (86_400, "24 h"),
    (172_800, "2 d"),
    (2_592_001, "31 d"),
]


@pytest.mark.parametrize(("reset_s", "said"), DURATIONS, ids=[str(seconds) for seconds, _ in DURATIONS])
def test_a_waiting_time_is_said_shortly_and_never_too_short(reset_s: int, said: str) -> None:
    assert spoken({"reset_s": reset_s}, "en")["time"] == spoken({"reset_s": reset_s}, "es")["time"] == said
