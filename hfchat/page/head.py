"""Scripts and styles of our own on the chat page: JavaScript modules and CSS from the files in `static`.

`page.js` is where the modules begin. What Python knows too, as sentences, identifiers and limits, `constants.js` reads from
the document.
"""

import json
from pathlib import Path
from typing import Any

from hfchat.chat.token_count import ASCII_BYTES_PER_TOKEN, LETTER_BYTES_PER_TOKEN, UNICODE_BYTES_PER_TOKEN
from hfchat.i18n.language import Language
from hfchat.i18n.sentences import CHAT, GRADIO_KEYS, GRADIO_LABELS, HISTORY, PAGE, PICTURES
from hfchat.page.conversations import PICTURES_ID
from hfchat.page.gradio_translations import ACT_MARK, GRADIO_ACTS
from hfchat.page.history import (
    CUT_ID,
    FACTS_ID,
    FILE_REFERENCE,
    MAX_SHOWN_CHARS,
    MAX_SHOWN_MESSAGES,
    NOTICE_ID,
    REFERENCE,
    REPLY_PICTURES_ID,
    WAIT_ID,
)

_STATIC = Path(__file__).parent / "static"
_PAGE_KEYS = ("session_over", "not_now", "tabs_busy")
_CHAT_KEYS = (
    "program_lead",
    "program_ends",
    "program_token",
    "program_failed",
    "use_from_program",
    "own_credit",
    "own_credit_ask",
    "payer_failed",
    "cancel",
    "close",
    "copy",
    "copied",
    "copy_selected",
    "send",
    "stop",
    "edit_question",
    "continue",
    "models_default",
)
_CONSTANTS: dict[str, Any] = {
    "notice_id": NOTICE_ID,
    "wait_id": WAIT_ID,
    "own_ids": [NOTICE_ID, CUT_ID, WAIT_ID, FACTS_ID],
    "most_shown": {"messages": MAX_SHOWN_MESSAGES, "chars": MAX_SHOWN_CHARS},
    "pictures_id": PICTURES_ID,
    "reply_pictures_id": REPLY_PICTURES_ID,
    "picture_reference": REFERENCE.pattern,
    "file_reference": FILE_REFERENCE.pattern,
    "bytes_per_token": {
        "letters": LETTER_BYTES_PER_TOKEN,
        "ascii": ASCII_BYTES_PER_TOKEN,
        "unicode": UNICODE_BYTES_PER_TOKEN,
    },
    "act_mark": ACT_MARK,
}


def constants(language: Language) -> dict[str, Any]:
    """What the scripts of a page in this language are told: its sentences, identifiers and limits."""
    says = {
        **{key: PAGE[language][key] for key in _PAGE_KEYS},
        **{key: CHAT[language][key] for key in _CHAT_KEYS},
        "acts": {act: GRADIO_KEYS[language][f"chatbot.{act}"] for act in GRADIO_ACTS},
        "history": HISTORY[language],
        "pictures": PICTURES[language],
        # A label that stays as it is would be written, and seen as changed, without end.
        "labels": {label: text for label, text in GRADIO_LABELS[language].items() if text != label},
    }
    return {"language": language, "says": says, **_CONSTANTS}


# Runs before anything is painted, which a module does not: the background of the theme that was chosen (static/theme.js).
# Gradio's document has that of the system's theme in these properties.
_FIRST_PAINT = """(() => {
  let kept = null;
  try { kept = localStorage.getItem("hfchat-theme"); } catch {}
  const named = new URLSearchParams(location.search).get("__theme");
  const theme = [named, kept].find((name) => name === "light" || name === "dark");
  if (!theme) return;
  const { style } = document.documentElement, [from, to] = theme === "dark" ? ["-dark", ""] : ["", "-dark"];
  style.colorScheme = theme;
  for (const name of ["--bg", "--col"]) style.setProperty(name + to, `var(${name}${from})`);
})();"""
# How large what is clicked is, and what is touched (WCAG 2.2, 2.5.5). A rule by the kind of screen that Gradio has counts only
# inside its own part of the page, and the list of conversations is beside it.
_TARGETS = ":root { --hfchat-target: 2.5rem } @media (pointer: coarse), (max-width: 40rem) { :root { --hfchat-target: 2.75rem } }"
SCRIPTS = {path.relative_to(_STATIC).as_posix(): path.read_bytes() for path in sorted(_STATIC.rglob("*.js"))}
_STYLES = ("page.css", "conversations/history.css", "pictures/pictures.css")
# Outside of those, which Gradio writes anew: it would not hold for what is beside Gradio's own elements.
_PRINT = (_STATIC / "print.css").read_text("utf-8")
CSS = "".join((_STATIC / name).read_text("utf-8") for name in _STYLES)


def head(folder: str, imports: str, icon: str, language: Language) -> str:
    """What stands first in the document, so that it runs before Gradio's own module: the modules, which are in `folder`.

    `imports` is an import map: where some of Gradio's scripts are loaded from. `icon` is the address of the tab's icon; without
    one a browser asks for `/favicon.ico`, which the policy forbids.
    """
    constants_json = json.dumps(constants(language), ensure_ascii=False, default=dict).replace("<", "\\u003c")
    # Without these, a browser hears of each module only when it has read the one that imports it. Low, so that Gradio's own,
    # which take longer, are asked for first: over HTTP/1.1 with 80 ms a request, a first visit took 2.2 s, else 2.6 s.
    preload = '<link rel="modulepreload" fetchpriority="low" href='
    preloads = "".join(f'{preload}".{folder}/{name}">' for name in SCRIPTS)
    return (
        f'<script>{_FIRST_PAINT}</script><script type="importmap">{imports}</script>{preloads}'
        f'<link rel="icon" href="{icon}"><style>{_TARGETS}{_PRINT}</style>'
        f'<script type="application/json" id="hfchat-constants">{constants_json}</script>'
        f'<script type="module" src=".{folder}/page.js"></script>'
    )
