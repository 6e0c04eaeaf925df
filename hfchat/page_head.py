"""What the chat page carries beside Gradio's own: small scripts and a little style, from the files in `static`."""

import json
from pathlib import Path

from hfchat.texts import PAGE

_STATIC = Path(__file__).parent / "static"
_SAYS = {language: {key: texts[key] for key in ("session_over", "not_now")} for language, texts in PAGE.items()}


def static(name: str) -> str:
    """The text of a file in `static`."""
    return (_STATIC / name).read_text("utf-8")


# The page's Content-Security-Policy takes scripts from the page itself, and Gradio has no route for files of ours.
HEAD = f"<script>window.hfchatSays = {json.dumps(_SAYS)};</script><script>{static('page.js')}</script>"
CSS = static("page.css")
