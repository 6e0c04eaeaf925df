"""The files of sentences: each language has all of them, with the same placeholders and tags, and each is used."""

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from hfchat.i18n.language import FOLDER, LANGUAGES, Language
from hfchat.i18n.plurals import CATEGORIES, are_forms, category
from hfchat.i18n.sentences import (
    CHAT,
    DIRECTIONS,
    GRADIO_LABELS,
    HISTORY,
    NAMES,
    OFFLINE,
    PAGE,
    read,
    with_fallback,
)
from tests.support.rows import each_row

ROOT = Path(__file__).parents[2]
SOURCES = "\n".join(path.read_text("utf-8") for kind in ("*.py", "*.html") for path in (ROOT / "hfchat").rglob(kind))
# What has to be the same in every language: placeholders, HTML tags, code, environment variables, addresses.
FIXED = re.compile(r"\{\w*\}|</?\w[^>]*>|`[^`]*`|\b[A-Z]+_[A-Z_]+\b|https://\S+[\w/]|↻")
# Formats without a word, and words that are the same in some languages.
SAME = {
    "details.models_offered",
    "details.methods",
    "page.token",
    "chat.program_token",
    "chat.uncounted",
    "chat.answered",
    "chat.top_p",
    "gradio_keys.common.error",
    "direction",
    "amounts.thousands_separator",
    "amounts.decimal_mark",
    "amounts.dollars",
    *(f"amounts.durations.{unit}" for unit in ("s", "min", "h", "d")),
    *(f"periods.{window}.return" for window in ("second", "minute", "hour")),
}
# The stand-in answers in these; a note is for who translates.
NOT_TRANSLATED = ("offline.", "_note")
# Of the other sentences of a language, so many may be the same as in English by chance: "Name", "Version".
MOST_SAME = 0.05


def leaves(content: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Each sentence with its place, as `errors.not_found.hint`; of a word's plural forms, all of them."""
    for key, value in content.items():
        if isinstance(value, dict) and not are_forms(value):
            yield from leaves(value, f"{prefix}{key}.")
        else:
            yield prefix + key, value


def forms(text: Any) -> dict[str, str]:
    return dict(text) if are_forms(text) else {"other": text}


def fixed(text: str) -> list[str]:
    return sorted(FIXED.findall(text))


ENGLISH = dict(leaves(read("en")))
FILES = {language: dict(leaves(read(language))) for language in LANGUAGES}
TRANSLATIONS = {language: sentences for language, sentences in FILES.items() if language != "en"}


@each_row("language", TRANSLATIONS)
def test_a_language_has_every_sentence_and_no_other(language: Language) -> None:
    needed = [key for key in ENGLISH if language == "es" or not key.startswith(NOT_TRANSLATED)]
    missing = [key for key in needed if key not in FILES[language]]
    extra = [key for key in FILES[language] if key not in ENGLISH and not key.startswith(NOT_TRANSLATED)]
    assert (missing, extra) == ([], []), f"{language}.json lacks {missing}, and has {extra}, which en.json lacks"


def test_spanish_has_the_order_of_english() -> None:
    assert list(FILES["es"]) == list(ENGLISH)


@each_row("language", TRANSLATIONS)
def test_a_sentence_keeps_what_it_names(language: Language) -> None:
    wrong = {}
    for key, text in FILES[language].items():
        english = fixed(forms(ENGLISH[key])["other"]) if key in ENGLISH else []
        for name, form in forms(text).items():
            # One thing, or two, may be said without a number.
            short = name in ("zero", "one", "two") and set(fixed(form)) <= set(english)
            if key in ENGLISH and fixed(form) != english and not (are_forms(text) and short):
                wrong[key] = f"{fixed(form)} in place of {english}"
            if not form:
                wrong[key] = "empty"
    assert wrong == {}


@each_row("language", TRANSLATIONS)
def test_a_sentence_is_translated(language: Language) -> None:
    same = [key for key, text in FILES[language].items() if text == ENGLISH.get(key) and key not in SAME]
    assert len(same) <= (0 if language == "es" else MOST_SAME * len(ENGLISH)), same


@each_row("language", LANGUAGES)
def test_what_is_counted_has_the_forms_of_the_language(language: Language) -> None:
    numbers = [*range(200), 10**6]
    needed = {category(number, language) for number in numbers} | {"other"}
    counted = {key: forms(text).keys() for key, text in FILES[language].items() if are_forms(text)}
    assert counted.keys() == {key for key, text in ENGLISH.items() if are_forms(text)}
    assert {key: names for key, names in counted.items() if not needed - {"many"} <= names <= {*CATEGORIES}} == {}


@each_row("language", LANGUAGES)
def test_the_page_can_tell_its_words_apart(language: Language) -> None:
    assert DIRECTIONS[language] == ("rtl" if language.partition("-")[0] in ("ar", "fa", "he", "ur") else "ltr")
    assert len({NAMES[language] for language in LANGUAGES}) == len(LANGUAGES)
    # A thought that was broken off is found by these, in whatever language it began.
    titles = {(texts["thinking"], texts["thoughts"]) for texts in PAGE.values()}
    assert len({thinking for thinking, _ in titles}) == len(titles)


@each_row("language", TRANSLATIONS)
def test_a_translation_that_nobody_reviewed_says_so(language: Language) -> None:
    assert "_note" in read(language) or language == "es"


@each_row("language", LANGUAGES)
def test_a_file_is_read_easily(language: Language) -> None:
    written = (FOLDER / f"{language}.json").read_text("utf-8")
    again = json.dumps(json.loads(written), ensure_ascii=False, indent=2)
    for sign in "\u00a0\u202f\u200e\u200f\u2066\u2067\u2068\u2069":  # nobody would see them
        again = again.replace(sign, f"\\u{ord(sign):04x}")
    assert written == again + "\n"


@each_row("key", [*PAGE["en"], *CHAT["en"], *OFFLINE["en"]])
def test_a_sentence_is_used(key: str) -> None:
    # Whole, or with an end that is put in: `takes_{name}` in Python, `"theme_" ~ theme` in a template.
    assert re.search(rf"""["'](hfchat_)?{key}["']|\b{key.rpartition("_")[0]}_(\{{|["'] ~)""", SOURCES)


def test_the_chat_page_and_the_other_pages_share_no_key() -> None:
    assert not PAGE["en"].keys() & CHAT["en"].keys()


def test_a_sentence_that_a_language_lacks_is_english() -> None:
    english = {"name": "English", "page": {"token": "Token", "docs": "Docs"}, "errors": {"not_found": {"hint": "See."}}}
    content = with_fallback({"page": {"token": "Jeton"}, "errors": {"not_found": {}}}, english)
    assert dict(leaves(json.loads(json.dumps(content, default=dict)))) == {
        "name": "English",
        "page.token": "Jeton",
        "page.docs": "Docs",
        "errors.not_found.hint": "See.",
    }


@pytest.mark.parametrize("sentences", [PAGE, GRADIO_LABELS, HISTORY], ids=["page", "labels", "history"])
def test_the_sentences_cannot_be_changed(sentences: Any) -> None:
    with pytest.raises(TypeError):
        sentences["en"]["x"] = ""
    with pytest.raises(TypeError):
        sentences["fr"] = {}


def test_forms_are_taken_whole_from_the_language_or_from_english() -> None:
    english = {"found": {"one": "one", "other": "some"}, "replies": {"one": "1 reply", "other": "replies"}}
    content = with_fallback({"found": {"few": "kilka", "other": "wiele"}}, english)
    assert dict(content["found"]) == {"few": "kilka", "other": "wiele"}
    assert dict(content["replies"]) == english["replies"]


def test_another_language_is_one_more_file(tmp_path: Path) -> None:
    """Run in another directory, on a copy of the package."""
    shutil.copytree(FOLDER, tmp_path / "hfchat" / "i18n")
    (tmp_path / "hfchat" / "i18n" / "nl-BE.json").write_text('{"page": {"sign_in": "Aanmelden"}}', "utf-8")
    code = (
        "from hfchat.i18n.language import language_of; from hfchat.i18n.sentences import PAGE; "
        "page = PAGE[language_of('nl-be, en;q=0.5')]; print(page['sign_in'], page['docs'], sep='|')"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd="/",
        env={"PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == f"Aanmelden|{PAGE['en']['docs']}"
