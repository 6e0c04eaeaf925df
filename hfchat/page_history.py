"""What of the page's conversation a model is sent: text of whole turns, and nothing that the page said itself."""

from typing import Any

from hfchat.conversation import drop_oldest
from hfchat.types import Message

MAX_HISTORY_MESSAGES = 100
MAX_HISTORY_CHARS = 200_000
# Mark, in a message's metadata, what the page says itself: that the turn failed, that the reply was cut at its limit, that it
# is waited for, and who gave it.
NOTICE_ID = "hfchat-notice"
CUT_ID = "hfchat-cut"
WAIT_ID = "hfchat-wait"
FACTS_ID = "hfchat-facts"


def sendable(history: list[Any]) -> list[Message]:
    """The part of the page's history that a model is sent: text of whole turns.

    A turn that failed is left out from its question on; so is what a model thought aloud, and anything that is no text.
    """
    kept: list[Message] = []
    turn_began = 0
    for entry in history:
        metadata = entry.get("metadata") or {}
        role, text = entry.get("role"), _text(entry.get("content"))
        if role == "user":
            # What was not answered, because it was stopped first, goes too: many models want the roles to take turns.
            kept = kept[:turn_began] if kept[turn_began:] and kept[-1].role == "user" else kept
            turn_began = len(kept)
        if metadata.get("id") == NOTICE_ID:
            kept = kept[:turn_began]
        elif metadata.get("id") in (CUT_ID, WAIT_ID, FACTS_ID) or metadata.get("title"):
            continue
        elif role in ("user", "assistant") and text.strip():
            kept.append(Message(role, text))
    if kept and kept[-1].role == "user":
        kept = kept[:turn_began]
    return drop_oldest(kept, max_messages=MAX_HISTORY_MESSAGES, max_chars=MAX_HISTORY_CHARS) if kept else []


def aside(text: str, mark: str) -> dict[str, Any]:
    """A message of the page's own, marked so that no model is sent it."""
    return {"role": "assistant", "content": text, "metadata": {"id": mark}}


def _text(content: Any) -> str:
    if isinstance(content, str):
        return content
    parts = content if isinstance(content, list) else []
    return "".join(part["text"] for part in parts if isinstance(part, dict) and isinstance(part.get("text"), str))
