"""Translations of Gradio's components into the visitor's language: every document has those of one language only.

Gradio runs in its locale `en`, whose words are ours: it has no locale for some of our languages, and other words for some
of its keys. Each button under a message has a mark as its name, the same in every language. The page's scripts find the button by
that mark, and put the words in its place.
"""

import json
from collections.abc import Mapping
from typing import Any

import gradio as gr

from hfchat.i18n.language import ENGLISH, LANGUAGES, Language
from hfchat.i18n.sentences import CHAT, GRADIO_KEYS, PAGE

ACT_MARK = "hfchat:"
GRADIO_ACTS = (
    "retry",
    "undo",
    "edit",
    "submit",
    "cancel",
    "clear",
    "like",
    "dislike",
    "copy_message",
    "copied_message",
)
_PAGE_KEYS = ("placeholder", "conversation", "greeting")
_BEFORE = b'"i18n_translations":'


def words(language: Language) -> dict[str, str]:
    """The words of the page's components, by the keys that Gradio asks for."""
    ours = {**CHAT[language], **{key: PAGE[language][key] for key in _PAGE_KEYS}}
    # With a prefix of ours: Gradio has texts of its own under some of these names.
    texts = {f"hfchat_{key}": text for key, text in ours.items() if "{" not in text}
    return {**texts, **GRADIO_KEYS[language], **{f"chatbot.{act}": f"{ACT_MARK}{act}" for act in GRADIO_ACTS}}


def translations() -> Any:
    """The English words by Gradio's own means."""
    return gr.I18n(**{ENGLISH: words(ENGLISH)})


_WORDS: Mapping[Language, bytes] = {
    # As Gradio writes JSON into its document.
    language: json.dumps({ENGLISH: words(language)}, ensure_ascii=False)
    .replace("<", "\\u003c")
    .replace(">", "\\u003e")
    .replace("&", "\\u0026")
    .encode()
    for language in LANGUAGES
}


def with_words(document: bytes, language: Language) -> bytes:
    """Gradio's document with the words of this language in the place of the English ones."""
    before, mark, after = document.partition(_BEFORE)
    if language == ENGLISH or not mark:
        return document
    _, end = json.JSONDecoder().raw_decode(text := after.decode())
    return before + mark + _WORDS[language] + text[end:].encode()
