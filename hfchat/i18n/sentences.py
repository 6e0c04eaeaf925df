"""Sentences, read once at import from `en.json`, `es.json` and every other language's file beside them.

A new language is a new file, a translation of `en.json`. A sentence that a file lacks is taken from English. A name in
braces is a placeholder, filled in by `str.format`; it stays as it is in every language. What is counted is an object of plural
forms (`plurals.py`). `direction` is HTML's `dir`: `ltr` or `rtl`. `_note` is for who translates.
"""

import json
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, TypeAlias

from hfchat.i18n.language import ENGLISH, FOLDER, LANGUAGES, Language
from hfchat.i18n.plurals import are_forms

Sentences: TypeAlias = Mapping[Language, Mapping[str, str]]


def read(language: Language) -> dict[str, Any]:
    """The content of a language's file, as it is written."""
    content: dict[str, Any] = json.loads((FOLDER / f"{language}.json").read_text("utf-8"))
    return content


def with_fallback(content: Mapping[str, Any], english: Mapping[str, Any]) -> Mapping[str, Any]:
    """The content of a language's file, read-only, with the English sentence for each one that it lacks."""
    whole: dict[str, Any] = {}
    for key, text in english.items():
        if are_forms(text):
            whole[key] = MappingProxyType(content.get(key, text))
        elif isinstance(text, dict):
            whole[key] = with_fallback(content.get(key, {}), text)
        else:
            whole[key] = content.get(key, text)
    return MappingProxyType(whole)


_ENGLISH = read(ENGLISH)
_CONTENT = {language: with_fallback(read(language), _ENGLISH) for language in LANGUAGES}


def section(name: str) -> Mapping[Language, Any]:
    """A section of the files, by language."""
    return MappingProxyType({language: content[name] for language, content in _CONTENT.items()})


# What a language calls itself, and which way it is written.
NAMES: Mapping[Language, str] = section("name")
DIRECTIONS: Mapping[Language, str] = section("direction")
# The sign-in and set-up pages, `/docs`, and what a conversation says itself.
PAGE: Sentences = section("page")
# What the chat page says beside the conversation: its header, settings and buttons.
CHAT: Sentences = section("chat")
# The list of conversations, and the pictures of a question: the page's script shows them.
HISTORY: Sentences = section("conversations")
PICTURES: Sentences = section("pictures")
# Gradio's own words that its front end does not translate, by its English words; and some that it does, by its keys.
GRADIO_LABELS: Sentences = section("gradio_labels")
GRADIO_KEYS: Sentences = section("gradio_keys")
# The reply of the offline stand-in.
OFFLINE: Sentences = section("offline")
