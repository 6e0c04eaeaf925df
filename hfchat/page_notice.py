"""What the page says itself in a conversation: why a turn failed, and what helps."""

import re
from typing import Any

from hfchat.error_body import say
from hfchat.error_texts import DETAILS
from hfchat.errors import HfchatError
from hfchat.page_history import NOTICE_ID
from hfchat.texts import PAGE, Language

# What a provider says is shown as it is written.
_MARKDOWN = re.compile(r"([\\`*_{}\[\]()#+!|<>$~&:@])")


def notice(error: HfchatError, language: Language, request_id: str, to_owner: bool) -> dict[str, Any]:
    """What failed and what helps, as a message of Gradio's."""
    texts = PAGE[language]
    if error.detail == "empty_content":
        return aside(texts["empty_message"], NOTICE_ID)
    error.detail = (
        error.detail
        if error.detail.partition("|")[0] in DETAILS
        else _MARKDOWN.sub(lambda mark: f"&#{ord(mark[1])};", error.detail)
    )
    message, hint = say(error, language, to_owner=to_owner)
    if error.status == 401:
        hint = f"[{texts['session_over']}](/login)"
    soon = error.retryable and (error.retry_after_s or 0) <= 60
    again = texts["try_again"] if soon or error.fault == "owner" else ""
    lines = (f"⚠️ **{message}**", hint, again, f"<small>{texts['request_id']}: {request_id}</small>")
    return aside("\n\n".join(filter(None, lines)), NOTICE_ID)


def aside(text: str, mark: str) -> dict[str, Any]:
    """A message of the page's own, marked so that no model is sent it."""
    return {"role": "assistant", "content": text, "metadata": {"id": mark}}
