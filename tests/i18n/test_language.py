"""The choice of a language."""

from hfchat.i18n.language import FOLDER, LANGUAGES, Language, language_of
from tests.support.rows import each_row

PREFERENCES: list[tuple[str, Language]] = [
    ("", "en"),
    ("es", "es"),
    ("ES-mx", "es"),
    ("es-419,es;q=0.9,en;q=0.8", "es"),
    ("en-GB,en;q=0.9,es;q=0.8", "en"),
    ("en;q=0.5, es;q=0.6", "es"),
    ("en; q=0.5 , es; q=0.6", "es"),
    ("fi-FI, sv;q=0.9, es;q=0.1", "es"),
    ("fi, sv", "en"),
    ("es-Latn-MX-x-anything", "es"),
    ("zh-TW, en;q=0.5", "zh"),
    ("zh-Hant-HK", "zh"),
    ("pt-BR,pt;q=0.9,en;q=0.8", "pt"),
    ("ar-EG", "ar"),
    ("de-CH-1996;q=0.4, fr-CA;q=0.5", "fr"),
    ("ja;q=0.1, *;q=0.9", "ja"),
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
    ("fi," * 100_000 + "es", "en"),
]


IDS = [ascii(header[:30]) for header, _ in PREFERENCES]


@each_row(("header", "language"), PREFERENCES, ids=IDS)
def test_the_preferred_of_our_languages_is_chosen(header: str, language: Language) -> None:
    assert language_of(header) == language


def test_the_languages_are_the_files_english_first() -> None:
    assert LANGUAGES[0] == "en"
    assert sorted(LANGUAGES) == sorted(path.stem for path in FOLDER.glob("*.json"))
