"""Page header: the owner's title, and the account menu with the remaining quota, the sign-out and more."""

import gradio as gr

from hfchat.http.html import template
from hfchat.i18n.amounts import spoken
from hfchat.i18n.errors import CREDITS_PAGE
from hfchat.i18n.language import LANGUAGES, Language
from hfchat.i18n.sentences import CHAT, NAMES, PAGE
from hfchat.ledger.quota import Remaining
from hfchat.page.appearance import Appearance
from hfchat.page.visitor import visitor_of

# At this part of a limit, or at the last one, what is left stands on the page for all to see; until then in the menu.
LOW = 0.2


_BRAND = template("page/templates/brand.html")
_ACCOUNT_MENU = template("page/templates/account_menu.html")
_REMAINING = template("page/templates/remaining.html")
_PAYER = template("page/templates/payer.html")


def brand(look: Appearance) -> str:
    """The owner's logo and title, as HTML."""
    return _BRAND.render(look=look)


def account_menu(request: gr.Request) -> str:
    """Who is signed in, and what they have left, as HTML."""
    language = visitor_of(request).language
    left, low = remaining_html(request)
    return _ACCOUNT_MENU.render(
        texts=PAGE[language],
        chat=CHAT[language],
        username=visitor_of(request).caller.name,
        left=left,
        low=low,
        other_languages={other: NAMES[other] for other in LANGUAGES if other != language},
    )


def remaining_html(request: gr.Request) -> tuple[str, str]:
    """Who pays and what is left of each limit, for the menu; and who pays and what is low, always in sight. As HTML."""
    caller, quota, language = visitor_of(request)
    left, low = [], []
    for key, remaining in (("left_of_rate", quota.rate), ("left_of_budget", quota.budget)):
        if remaining is not None:
            sentence = PAGE[language][key].format(**_spoken(remaining, language))
            left.append(sentence)
            if remaining.remaining < remaining.limit and remaining.remaining <= max(remaining.limit * LOW, 1):
                low.append(sentence)
    payer = "" if caller.account is None else PAGE[language]["pays_self" if caller.own_credit else "pays_owner"]
    if payer:
        low.insert(0, payer)
    in_menu = _PAYER.render(payer=payer, account=caller.account, chat=CHAT[language], credits_page=CREDITS_PAGE)
    return (
        in_menu + _REMAINING.render(sentences=left, tag="p", css_class="hfchat-left"),
        _REMAINING.render(sentences=low, tag="span", css_class="hfchat-low"),
    )


def _spoken(remaining: Remaining, language: Language) -> dict[str, str]:
    facts: dict[str, int | str] = {
        "limit": remaining.limit,
        "left": remaining.remaining,
        "window": remaining.window or "day",
    }
    return spoken(facts, language)
