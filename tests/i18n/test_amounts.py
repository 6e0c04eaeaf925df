"""Amounts, waiting times and the windows of limits, in words."""

import pytest

from hfchat.i18n.amounts import dollars, spoken
from hfchat.i18n.language import LANGUAGES, Language
from hfchat.i18n.plurals import CATEGORIES, category, plural
from hfchat.limits import WINDOWS
from tests.support.rows import each_row

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


@each_row("language", ["en", "es"])
@each_row("window", WINDOWS)
def test_every_window_of_a_limit_has_words(window: str, language: Language) -> None:
    words = spoken({"window": window, "reset_s": 1}, language)
    assert (words["unit"], words["period"], words["return"]) == SPOKEN_WINDOWS[window][language]


@each_row("language", LANGUAGES)
@each_row("window", WINDOWS)
def test_no_window_of_a_limit_has_words_that_are_not_filled(window: str, language: Language) -> None:
    words = spoken({"window": window, "reset_s": 1, "limit": 3}, language)
    assert all(text and not {*text} & {*"{}"} for text in words.values())


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


@each_row(("reset_s", "text"), DURATIONS, ids=[str(seconds) for seconds, _ in DURATIONS])
def test_a_waiting_time_is_said_shortly_and_never_too_short(reset_s: int, text: str) -> None:
    assert spoken({"reset_s": reset_s}, "en")["time"] == spoken({"reset_s": reset_s}, "es")["time"] == text


PRICES = [
    (0.4, "$0.40", "0,40\u00a0US$"),
    (0.0215, "$0.0215", "0,0215\u00a0US$"),
    (12.5, "$12.50", "12,50\u00a0US$"),
]


@pytest.mark.parametrize(("amount", "english", "spanish"), PRICES, ids=[english for _, english, _ in PRICES])
def test_dollars_are_written_as_the_language_does(amount: float, english: str, spanish: str) -> None:
    assert (dollars(amount, "en"), dollars(amount, "es")) == (english, spanish)


def test_one_request_is_not_several() -> None:
    assert spoken({"limit": 1}, "en")["requests"] == "1 request"
    assert spoken({"limit": 2}, "en")["requests"] == "2 requests"
    assert spoken({"limit": 1}, "es")["replies"] == "1 respuesta"


PLURALS: list[tuple[Language, int, str]] = [
    *(("ar", number, form) for number, form in ((0, "zero"), (1, "one"), (2, "two"), (3, "few"), (10, "few"))),
    *(("ar", number, form) for number, form in ((11, "many"), (99, "many"), (100, "other"), (102, "other"))),
    *(("ar", number, form) for number, form in ((103, "few"), (111, "many"), (1_000_000, "other"))),
    *(("de", number, form) for number, form in ((0, "other"), (1, "one"), (2, "other"), (1_000_000, "other"))),
    *(("es", number, form) for number, form in ((0, "other"), (1, "one"), (2, "other"), (1_000_000, "many"))),
    *(("fr", number, form) for number, form in ((0, "one"), (1, "one"), (2, "other"), (2_000_000, "many"))),
    *(("pt-BR", number, form) for number, form in ((0, "one"), (1, "one"), (2, "other"), (1_000_001, "other"))),
    *(("ja", number, "other") for number in (0, 1, 2)),
    *(("zh", number, "other") for number in (0, 1, 2)),
    ("xx", 1, "one"),
]


@each_row(("language", "number", "form"), PLURALS)
def test_the_plural_form_is_that_of_cldr(language: Language, number: int, form: str) -> None:
    assert category(number, language) == form
    forms = {name: name for name in CATEGORIES}
    assert plural(forms, number, language) == form
    assert plural({"other": "any"}, number, language) == "any"
