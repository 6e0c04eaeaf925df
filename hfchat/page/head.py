"""What the chat page carries beside Gradio's own: small scripts and a little style, from the files in `static`."""

import json
from pathlib import Path

from hfchat.i18n.sentences import CHAT, GRADIO_KEYS, GRADIO_LABELS, PAGE

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
        **{act: GRADIO_KEYS[language][f"chatbot.{act}"] for act in _GRADIO_ACTS},
        # A label that stays as it is would be written, and seen as changed, without end.
        "labels": {label: text for label, text in GRADIO_LABELS[language].items() if text != label},
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
