"""Notices in a conversation: why a turn failed and what helps, and which model answered."""

import re
from collections.abc import Sequence
from html import escape
from typing import Any
from urllib.parse import SplitResult, urlsplit

from hfchat.errors import HfchatError, LimitReached
from hfchat.http.error_response import in_words, say
from hfchat.i18n.amounts import spoken
from hfchat.i18n.errors import CREDITS_PAGE, PROVIDERS_PAGE, TOKEN_PAGE
from hfchat.i18n.language import Language
from hfchat.i18n.sentences import CHAT, PAGE
from hfchat.page.history import FACTS_ID, NOTICE_ID, SOURCES_ID, page_note
from hfchat.page.model_picker import short
from hfchat.types import Finish, Source

# What a provider says is shown as it is written.
_MARKDOWN = re.compile(r"([\\`*_{}\[\]()#+!|<>$~&:@])")
# Beside those where the next model of the list is asked by itself.
_ANOTHER_MODEL = frozenset({"model_not_allowed", "unsupported_input", "upstream_rejected"})
# Of a visitor who pays for themself, where their own token does not do.
_SIGN_IN_WITH_HUB = frozenset({"hf_token_invalid", "hf_token_forbidden"})
# What a visitor's own credit goes on after.
_OWNERS_ALLOWANCE = frozenset({"budget_exceeded", "credits_exhausted"})
# Where the owner, or who pays for themself, mends it: the words of the link, and where it leads.
_OWNERS_PAGES = {
    "model_not_supported": ("enable_provider", PROVIDERS_PAGE),
    "model_gated": ("accept_terms", "https://huggingface.co/{model}"),
    "credits_exhausted": ("see_billing", CREDITS_PAGE),
    "hf_token_invalid": ("new_token", TOKEN_PAGE),
    "hf_token_forbidden": ("new_token", TOKEN_PAGE),
}
_SETTINGS = frozenset({"temperature", "top_p", "max_tokens", "system_prompt"})
# What a provider says of them.
_OF_SETTINGS = re.compile(r"temperature|\btop[ _-]?p\b|\bmax[ _-](?:\w{1,10}[ _-])?tokens\b", re.IGNORECASE)
_SHORTER = frozenset({"context_length_exceeded", "payload_too_large", "budget_exceeded"})
# Said without the words around it, which are for programs.
_OF_PICTURES = frozenset({"picture_missing", "pictures_at_most", "file_missing", "files_too_long"})
_LONG_WAIT_S = 60
# An address that a link in angle brackets can hold; the page's script lets it lead to another host only.
_ADDRESS = re.compile(r"https?://[^\s<>\\\x00-\x1f]+")
MAX_SOURCES = 20


def notice(
    error: HfchatError,
    language: Language,
    request_id: str,
    to_owner: bool,
    *,
    may_pay: bool = False,
    can_continue: bool = False,
) -> dict[str, Any]:
    """What failed and what helps, as a message of Gradio's, with buttons that the page's script acts on.

    `may_pay`: the owner pays now, and the visitor may go on on their own credit instead. `can_continue`: there is a part of the
    reply that a model can go on from.
    """
    if error.reason == "empty_content":
        return page_note(PAGE[language]["empty_message"], NOTICE_ID)
    if error.reason in _OF_PICTURES:
        sentence = in_words(error, language)
        back = _button("shorter", CHAT[language]["back_to_question"])
        return page_note(f"⚠️ **{sentence[:1].upper()}{sentence[1:]}**\n\n{back}", NOTICE_ID)
    of_settings = error.code == "upstream_rejected" and _OF_SETTINGS.search(error.provider_message) is not None
    error.provider_message = _plain(error.provider_message)
    message, hint = say(error, language, to_owner=to_owner)
    if error.reason == "no_pictures":
        message = in_words(error, language)
    if error.code == "invalid_request":
        hint = ""  # where programs find the form
    number = f"<small>{PAGE[language]['request_id'].format(number=request_id)}</small>"
    buttons = _buttons(error, language, to_owner, may_pay, of_settings=of_settings)
    if can_continue and error.retryable:
        buttons = f"{continue_button(language)} {buttons}"
    lines = (f"⚠️ **{message}**", hint, buttons, number)
    return page_note("\n\n".join(filter(None, lines)), NOTICE_ID)


def stopped_notice(language: Language) -> dict[str, Any]:
    """That the visitor stopped it before a word came, with what they may want next."""
    texts = CHAT[language]
    acts = {"retry": "retry", "another_model": "another_model", "shorter": "back_to_question"}
    return page_note(
        f"{texts['stopped']}\n\n{' '.join(_button(act, texts[key]) for act, key in acts.items())}", NOTICE_ID
    )


def continue_button(language: Language) -> str:
    """The button that has a model go on with a reply that was cut."""
    return _button("continue", CHAT[language]["continue"])


def _buttons(error: HfchatError, language: Language, to_owner: bool, may_pay: bool, *, of_settings: bool) -> str:
    """What helps, the likeliest first. Every error has one: where nothing else helps, trying again is offered."""
    texts = CHAT[language]
    if error.own_account and error.code in _SIGN_IN_WITH_HUB:
        # In a tab of its own: the page may stand in a frame, and what is written stays.
        return f'<a class="hfchat-do" href="/login/huggingface" target="_blank" rel="noreferrer">{texts["sign_in_again"]}</a>'
    if error.status == 401:
        return f'<a class="hfchat-do" href="/login">{texts["sign_in_again"]}</a>'
    acts = ["own_credit"] if may_pay and error.code in _OWNERS_ALLOWANCE else []
    if error.retryable and (error.retry_after_s or 0) <= _LONG_WAIT_S:
        acts.append("retry")
    named_wrong = error.code == "invalid_request" and error.param == "model"
    if error.fallback_may_help or error.code in _ANOTHER_MODEL or named_wrong:
        acts.append("another_model")
    if error.reason == "no_pictures":
        acts.append("retry")
    if isinstance(error, LimitReached) and not acts:
        acts.append("see_left")
    if error.code in _SHORTER:
        acts.append("shorter")
    if of_settings or (error.code == "invalid_request" and error.param in _SETTINGS):
        acts.append("choose_settings")
    buttons = [_button(act, texts[act]) for act in acts or ["retry"]]
    if (to_owner or error.own_account) and error.code in _OWNERS_PAGES:
        words, page = _OWNERS_PAGES[error.code]
        address = escape(page.format(model=(error.model or "").partition(":")[0]))
        buttons.append(f'<a class="hfchat-do" href="{address}" target="_blank" rel="noreferrer">{texts[words]}</a>')
    return " ".join(buttons)


def _button(act: str, words: str) -> str:
    # Of what stands in a conversation, Gradio keeps the class and little else.
    return f'<button class="hfchat-do hfchat-do-{act}">{words}</button>'


def facts(finish: Finish, asked_model: str, model: str, language: Language) -> dict[str, Any]:
    """Which model gave the reply and what it took, small; and openly where it is another model than `asked_model`."""
    texts, usage = CHAT[language], finish.usage
    words = {"model": escape(short(finish.model)), "provider": escape(finish.provider or "")}
    if usage is None:
        sentence = texts["uncounted"].format(**words)
    else:
        tokens = spoken({"tokens": usage.total_tokens}, language)["tokens"]
        words["tokens"] = texts["about"].format(tokens=tokens) if usage.estimated else tokens
        sentence = texts["answered_by" if finish.provider else "answered"].format(**words)
    instead = ""
    if not same_model(model, asked_model):
        names = {"asked": escape(short(asked_model)), "model": escape(short(model))}
        instead = f'<span class="hfchat-instead">{texts["fallback"].format(**names)}</span> '
    # One HTML block: no name in it is read as Markdown.
    return page_note(f'<div class="hfchat-facts">{instead}{sentence}</div>', FACTS_ID)


def sources_note(sources: Sequence[Source], language: Language) -> dict[str, Any]:
    """The pages that a reply refers to, as a list of links: by their titles, or else their hosts."""
    links = []
    for source in sources[:MAX_SOURCES]:
        address = _address(source.url)
        title = _plain(" ".join(source.title.split())) or _plain(address.netloc if address else source.url)
        links.append(f"[{title}](<{source.url}>)" if address else title)
    listed = "\n".join(f"{number}. {link}" for number, link in enumerate(links, 1))
    return page_note(f"**{PAGE[language]['sources']}**\n\n{listed}", SOURCES_ID)


def _address(url: str) -> SplitResult | None:
    """The parts of an address that a link can lead to."""
    try:
        return urlsplit(url) if _ADDRESS.fullmatch(url) else None
    except ValueError:
        return None


def same_model(model: str, asked_model: str) -> bool:
    """Whether they differ at most in who serves it."""
    return model.partition(":")[0] == asked_model.partition(":")[0]


def _plain(text: str) -> str:
    return _MARKDOWN.sub(lambda mark: f"&#{ord(mark[1])};", text)
