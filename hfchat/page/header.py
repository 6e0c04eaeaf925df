"""The page's header: the owner's title, who is signed in, and a menu with what they have left, for them to leave, and more."""

from html import escape

import gradio as gr

from hfchat.i18n.amounts import spoken
from hfchat.i18n.language import LANGUAGES, Language, language_of
from hfchat.i18n.sentences import CHAT, NAMES, PAGE
from hfchat.ledger.store import Quota, Remaining
from hfchat.page.appearance import Appearance

# At this part of a limit, or at the last one, what is left stands on the page for all to see; until then in the menu.
LOW = 0.2


def brand(look: Appearance) -> str:
    """The owner's logo and title, as HTML."""
    logo = f'<img src="{escape(look.logo)}" alt="">' if look.logo else ""
    return f'<div class="hfchat-brand">{logo}<h1>{escape(look.title)}</h1></div>'


def account_menu(request: gr.Request) -> str:
    """Who is signed in, and what they have left, as HTML."""
    language = language_of(request.headers.get("accept-language", ""))
    texts, chat = PAGE[language], CHAT[language]
    subject = f"<strong>{escape(request.username or '')}</strong>"
    left, low = remaining_html(request)
    others = "".join(
        f'<button type="button" data-do="language" data-language="{other}" lang="{other}">{NAMES[other]}</button>'
        for other in LANGUAGES
        if other != language
    )
    # One HTML block: what stands inside is not read as Markdown, so a name is never a link.
    return (
        f'<div><span id="hfchat-low">{low}</span><details class="hfchat-menu"><summary>'
        f'<span class="sr-only">{chat["account"]}: </span>{subject}</summary>'
        f'<div><p>{texts["signed_in_as"].format(subject=subject)}</p><div id="hfchat-left">{left}</div>'
        f'<button type="button" data-do="program">{chat["use_from_program"]}</button>{others}'
        f'<form method="post" action="/logout"><button>{texts["sign_out"]}</button></form></div></details></div>'
    )


def remaining_html(request: gr.Request) -> tuple[str, str]:
    """What the visitor has left of each limit, for the menu; and of those that are low, for all to see. As HTML."""
    language = language_of(request.headers.get("accept-language", ""))
    quota: Quota = request.request.state.quota
    left, low = [], []
    for key, allowance in (("left_of_rate", quota.rate), ("left_of_budget", quota.budget)):
        if allowance is not None:
            said = PAGE[language][key].format(**_spoken(allowance, language))
            left.append(f'<p class="hfchat-left">{said}</p>')
            if allowance.remaining < allowance.limit and allowance.remaining <= max(allowance.limit * LOW, 1):
                low.append(f'<span class="hfchat-low">{said}</span>')
    return "".join(left), "".join(low)


def _spoken(allowance: Remaining, language: Language) -> dict[str, str]:
    facts: dict[str, int | str] = {
        "limit": allowance.limit,
        "left": allowance.remaining,
        "window": allowance.window or "day",
    }
    return spoken(facts, language)
