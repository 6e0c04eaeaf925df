"""The line that says who is signed in, what they have left, and lets them out."""

from html import escape

import gradio as gr

from hfchat.ledger import Allowance, Standing
from hfchat.texts import PAGE, Language, language_of, spoken


def who_is_here(request: gr.Request) -> str:
    """Who is signed in, and what they have left, as HTML."""
    language = language_of(request.headers.get("accept-language", ""))
    texts = PAGE[language]
    subject = escape(request.username or "")
    said = texts["signed_in_as"].format(subject=f"<strong>{subject}</strong>")
    standing: Standing = request.request.state.standing
    left = "".join(
        f' · <span class="hfchat-left">{texts[key].format(**_spoken(allowance, language))}</span>'
        for key, allowance in (("left_of_rate", standing.rate), ("left_of_budget", standing.budget))
        if allowance is not None
    )
    # One HTML block: what stands inside is not read as Markdown, so a name is never a link.
    return f'<div>{said}{left} · <form method="post" action="/logout"><button>{texts["sign_out"]}</button></form></div>'


def _spoken(allowance: Allowance, language: Language) -> dict[str, str]:
    facts: dict[str, int | str] = {
        "limit": allowance.limit,
        "left": allowance.remaining,
        "window": allowance.window or "day",
    }
    return spoken(facts, language)
