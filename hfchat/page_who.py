"""The page's header: the owner's title, who is signed in, and a menu with what they have left, for them to leave, and more."""

from html import escape

import gradio as gr

from hfchat.appearance import Appearance
from hfchat.ledger import Allowance, Standing
from hfchat.page_texts import CHAT
from hfchat.texts import PAGE, Language, language_of, spoken

# At this part of a limit, or at the last one, what is left stands on the page for all to see; until then in the menu.
LOW = 0.2


def brand(look: Appearance) -> str:
    """The owner's logo and title, as HTML."""
    logo = f'<img src="{escape(look.logo)}" alt="">' if look.logo else ""
    return f'<div class="hfchat-brand">{logo}<h1>{escape(look.title)}</h1></div>'


def who_is_here(request: gr.Request) -> str:
    """Who is signed in, and what they have left, as HTML."""
    language = language_of(request.headers.get("accept-language", ""))
    texts, chat = PAGE[language], CHAT[language]
    subject = f"<strong>{escape(request.username or '')}</strong>"
    standing: Standing = request.request.state.standing
    left, low = [], []
    for key, allowance in (("left_of_rate", standing.rate), ("left_of_budget", standing.budget)):
        if allowance is not None:
            said = texts[key].format(**_spoken(allowance, language))
            left.append(f'<p class="hfchat-left">{said}</p>')
            if allowance.remaining < allowance.limit and allowance.remaining <= max(allowance.limit * LOW, 1):
                low.append(f'<span class="hfchat-low">{said}</span>')
    other = "es" if language == "en" else "en"
    # One HTML block: what stands inside is not read as Markdown, so a name is never a link.
    return (
        f'<div>{"".join(low)}<details class="hfchat-menu"><summary><span class="sr-only">{chat["account"]}: </span>'
        f"{subject}</summary>"
        f"<div><p>{texts['signed_in_as'].format(subject=subject)}</p>{''.join(left)}"
        f'<button type="button" data-do="program">{chat["use_from_program"]}</button>'
        f'<button type="button" data-do="language" data-language="{other}" lang="{other}">{chat["language"]}</button>'
        f'<form method="post" action="/logout"><button>{texts["sign_out"]}</button></form></div></details></div>'
    )


def _spoken(allowance: Allowance, language: Language) -> dict[str, str]:
    facts: dict[str, int | str] = {
        "limit": allowance.limit,
        "left": allowance.remaining,
        "window": allowance.window or "day",
    }
    return spoken(facts, language)
