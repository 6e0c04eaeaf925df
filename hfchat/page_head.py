"""What the chat page carries beside Gradio's own: small scripts and a little style, from the files in `static`."""

import json
from pathlib import Path

from hfchat.page_texts import CHAT, GRADIO_KEYS, GRADIO_LABELS
from hfchat.texts import PAGE

_STATIC = Path(__file__).parent / "static"
_PAGE_KEYS = ("session_over", "not_now")
_CHAT_KEYS = (
    "program_lead",
    "program_token",
    "program_failed",
    "use_from_program",
    "close",
    "copy",
    "copied",
    "send",
    "stop",
    "edit_question",
)
_GRADIO_ACTS = ("retry", "undo", "edit", "submit", "cancel", "clear", "like", "dislike")
_SAYS = {
    language: {
        **{key: PAGE[language][key] for key in _PAGE_KEYS},
        **{key: CHAT[language][key] for key in _CHAT_KEYS},
        **{act: GRADIO_KEYS[f"chatbot.{act}"] if language == "es" else act.capitalize() for act in _GRADIO_ACTS},
        "labels": GRADIO_LABELS[language],
    }
    for language in PAGE
}


def static(name: str) -> str:
    """The text of a file in `static`."""
    return (_STATIC / name).read_text("utf-8")


# They stand in the document: Gradio has no route for files of ours.
_EARLY = ("language.js", "formulas.js", "diagrams.js", "replies.js")
EARLY = "\n".join((f"window.hfchatSays = {json.dumps(_SAYS)};", *map(static, _EARLY)))
_SCRIPTS = ("page.js", "turn.js", "actions.js", "editing.js", "scrolling.js", "program.js")
SCRIPTS = [static(name) for name in _SCRIPTS]
CSS = "".join(static(name) for name in ("page.css", "history.css", "pictures.css"))
