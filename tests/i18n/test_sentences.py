"""The files of sentences: each language has all of them, with the same placeholders and tags, and each is used."""

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from hfchat.i18n.language import FOLDER, LANGUAGES, Language
from hfchat.i18n.sentences import CHAT, GRADIO_LABELS, HISTORY, OFFLINE, PAGE, read, with_fallback

ROOT = Path(__file__).parents[2]
SOURCES = "\n".join(path.read_text("utf-8") for kind in ("*.py", "*.html") for path in (ROOT / "hfchat").rglob(kind))
# What has to be the same in every language: placeholders, HTML tags, code, environment variables, addresses.
FIXED = re.compile(r"\{\w*\}|</?\w[^>]*>|`[^`]*`|\b[A-Z]+_[A-Z_]+\b|https://\S+[\w/]|↻")
# Formats without a word, and words that are the same in both languages.
SAME = {
    "details.models_offered",
    "details.methods",
    "page.token",
    "chat.program_token",
    "chat.uncounted",
    "chat.answered",
    "gradio_keys.common.error",
    *(f"periods.{window}.return" for window in ("second", "minute", "hour")),
}


def leaves(content: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Each sentence with its place, as `errors.not_found.hint`."""
    for key, value in content.items():
        if isinstance(value, dict):
            yield from leaves(value, f"{prefix}{key}.")
        else:
            yield prefix + key, value


ENGLISH = dict(leaves(read("en")))
TRANSLATIONS = {language: dict(leaves(read(language))) for language in LANGUAGES if language != "en"}


@pytest.mark.parametrize("language", TRANSLATIONS)
def test_a_language_has_every_sentence_in_the_order_of_english_and_no_other(language: Language) -> None:
    assert list(TRANSLATIONS[language]) == list(ENGLISH)


@pytest.mark.parametrize("language", TRANSLATIONS)
@pytest.mark.parametrize("key", ENGLISH)
def test_a_sentence_is_translated_and_keeps_what_it_names(key: str, language: Language) -> None:
    english, text = ENGLISH[key], TRANSLATIONS[language][key]
    assert sorted(FIXED.findall(text)) == sorted(FIXED.findall(english))
    assert text
    if key not in SAME:
        assert text != english


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_file_is_read_easily(language: Language) -> None:
    written = (FOLDER / f"{language}.json").read_text("utf-8")
    again = json.dumps(json.loads(written), ensure_ascii=False, indent=2).replace("\u00a0", r"\u00a0")
    assert written == again + "\n"


@pytest.mark.parametrize("key", [*PAGE["en"], *CHAT["en"], *OFFLINE["en"]])
def test_a_sentence_is_used(key: str) -> None:
    assert re.search(rf"""["'](hfchat_)?{key}["']|\b{key.rpartition("_")[0]}_\{{""", SOURCES)


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


def test_a_third_language_is_one_more_file(tmp_path: Path) -> None:
    """Run in another directory, on a copy of the package."""
    shutil.copytree(FOLDER, tmp_path / "hfchat" / "i18n")
    (tmp_path / "hfchat" / "i18n" / "fr.json").write_text('{"page": {"sign_in": "Connexion"}}', "utf-8")
    code = (
        "from hfchat.i18n.language import language_of; from hfchat.i18n.sentences import PAGE; "
        "page = PAGE[language_of('fr-CA, en;q=0.5')]; print(page['sign_in'], page['docs'], sep='|')"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd="/",
        env={"PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == f"Connexion|{PAGE['en']['docs']}"
