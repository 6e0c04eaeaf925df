"""Chat history: the messages of the page that a model is sent: whole turns, without the page's own notes.

And what of a conversation that a browser kept is shown again.
"""

import re
from typing import Any

from hfchat.chat.conversation import drop_oldest
from hfchat.i18n.sentences import PAGE
from hfchat.types import Message

MAX_HISTORY_MESSAGES = 100
MAX_HISTORY_CHARS = 200_000
# More is not shown again at once: Gradio works through all of it at each step of a reply.
MAX_SHOWN_MESSAGES = 200
MAX_SHOWN_CHARS = 1_000_000
MAX_MARK_CHARS = 200
# Mark, in a message's metadata, what the page says itself: that the turn failed, that the reply was cut at its limit, that it
# is waited for, who gave it, and to which pages it refers.
NOTICE_ID = "hfchat-notice"
CUT_ID = "hfchat-cut"
WAIT_ID = "hfchat-wait"
FACTS_ID = "hfchat-facts"
SOURCES_ID = "hfchat-sources"
# Marks the message with a reply's pictures: a model is told that there were some.
REPLY_PICTURES_ID = "hfchat-reply-pictures"
_OVER = {texts["thinking"]: texts["thoughts"] for texts in PAGE.values()}
_ID = re.compile(r"[\w-]{1,64}")
# How a message refers to a picture, or a question to a file, which the browser keeps. The page's script writes and reads it too;
# it must mean the same to both.
REFERENCE = re.compile(r"\[🖼 ([^\[\]\r\n]{1,60})\]\(#hfchat-image-([0-9a-f]{32})\)")
FILE_REFERENCE = re.compile(r"\[📄 ([^\[\]\r\n]{1,60})\]\(#hfchat-file-([0-9a-f]{32})\)")


def messages_for_model(history: list[Any]) -> list[Message]:
    """The part of the page's history that a model is sent: text of whole turns.

    A turn that failed is left out from its question on; so is what a model thought aloud, and anything that is no text.
    Each text is sent as it was written or received, white space at its ends included.
    """
    messages: list[Message] = []
    turn_began = 0
    for entry in history:
        metadata = entry.get("metadata") or {}
        role, text = entry.get("role"), _text(entry.get("content"))
        if metadata.get("id") == REPLY_PICTURES_ID:
            text = REFERENCE.sub(r"🖼 \1", text)
        if role == "user":
            # What was not answered, because it was stopped first, goes too: many models want the roles to take turns.
            messages = messages[:turn_began] if messages[turn_began:] and messages[-1].role == "user" else messages
            turn_began = len(messages)
        if metadata.get("id") == NOTICE_ID:
            messages = messages[:turn_began]
        elif metadata.get("id") in (CUT_ID, WAIT_ID, FACTS_ID, SOURCES_ID) or metadata.get("title"):
            continue
        elif role == "assistant" and text.strip() and messages[turn_began:] and messages[-1].role == "assistant":
            # A browser may have kept a reply in the pieces that it was shown in.
            messages[-1] = Message(role, _joined(messages[-1].content, text))
        elif role in ("user", "assistant") and text.strip():
            messages.append(Message(role, text))
    if messages and messages[-1].role == "user":
        messages = messages[:turn_began]
    return drop_oldest(messages, max_messages=MAX_HISTORY_MESSAGES, max_chars=MAX_HISTORY_CHARS) if messages else []


def page_note(text: str, mark: str) -> dict[str, Any]:
    """A message of the page's own, marked so that no model is sent it."""
    return {"role": "assistant", "content": text, "metadata": {"id": mark}}


def text_message(role: str, text: str) -> dict[str, Any]:
    """A message in the form whose text Gradio leaves as it is."""
    return {"role": role, "content": [{"type": "text", "text": text}]}


def with_whole_reply(history: list[Any]) -> list[Any]:
    """The conversation as it is; where its last reply ended in pieces, because it was stopped, with the whole in one."""
    first = len(history)
    while first > 0 and _is_reply(history[first - 1]):
        first -= 1
    pieces = [_text(entry["content"]) for entry in history[first:]]
    if len(pieces) < 2:
        return history
    whole = pieces[0]
    for piece in pieces[1:]:
        whole = _joined(whole, piece)
    return [*history[:first], text_message("assistant", whole)]


def cut_reply(history: list[Any]) -> tuple[list[Any], str, list[Any]]:
    """What stands before the last question; the question; and of its reply what was thought, its sources and pictures, and what
    was said as one text.
    """
    place = next((n for n in range(len(history) - 1, -1, -1) if history[n].get("role") == "user"), None)
    if place is None:
        return history, "", []
    reply = history[place + 1 :]
    thoughts = [thought_is_over(entry) for entry in reply if (entry.get("metadata") or {}).get("title")]
    notes = [entry for entry in reply if (entry.get("metadata") or {}).get("id") in (SOURCES_ID, REPLY_PICTURES_ID)]
    text = ""
    for entry in filter(_is_reply, reply):
        text = _joined(text, _text(entry["content"])) if text else _text(entry["content"])
    answer = [text_message("assistant", text)] if text.strip() else []
    return history[:place], _text(history[place].get("content")), [*thoughts, *notes, *answer]


def split_reply(reply: list[Any]) -> tuple[list[Any], list[Any], str]:
    """What was thought and the sources and pictures, as messages, and what was said, of what `cut_reply` gave."""
    entries = [entry for entry in reply if _is_reply(entry)]
    thoughts = [entry for entry in reply if (entry.get("metadata") or {}).get("title")]
    notes = [entry for entry in reply if entry not in entries and entry not in thoughts]
    return thoughts, notes, _text(entries[-1]["content"]) if entries else ""


def _is_reply(entry: dict[str, Any]) -> bool:
    metadata = entry.get("metadata") or {}
    return entry.get("role") == "assistant" and not metadata.get("id") and not metadata.get("title")


def _joined(text: str, piece: str) -> str:
    """The text with the next piece. A piece ends in an empty line, but for those of browsers that kept them without."""
    return f"{text}{piece}" if text.endswith("\n") else f"{text}\n\n{piece}"


def broken_off(turn: list[Any]) -> bool:
    """Whether nothing followed the question of this turn but what was waited for, or a thought without an end."""
    for entry in turn:
        metadata = entry.get("metadata") or {}
        if metadata.get("title"):
            return bool(metadata.get("status") == "pending")
        if entry.get("role") == "assistant" and metadata.get("id") != WAIT_ID and _text(entry.get("content")).strip():
            return False
    return True


def thought_is_over(entry: dict[str, Any]) -> dict[str, Any]:
    """The message as it is; a thought that was pending, as one that has ended."""
    metadata = entry.get("metadata") or {}
    if metadata.get("status") != "pending":
        return entry
    return {
        **entry,
        "metadata": {**metadata, "title": _OVER.get(metadata["title"], metadata["title"]), "status": "done"},
    }


def messages_to_show(conversation: list[Any]) -> list[dict[str, Any]]:
    """What a browser kept, as messages for the page: texts of the two who speak, and the marks that `messages_for_model` reads.

    The newest of it, where it is too much to show.
    """
    messages: list[dict[str, Any]] = []
    chars = 0
    for entry in reversed(conversation):
        role, text = entry.get("role"), _text(entry.get("content"))
        if role not in ("user", "assistant") or not text:
            continue
        chars += len(text)
        if len(messages) == MAX_SHOWN_MESSAGES or chars > MAX_SHOWN_CHARS:
            break
        metadata = _marks(entry.get("metadata") or {}) if role == "assistant" else {}
        messages.append({**text_message(role, text), **({"metadata": metadata} if metadata else {})})
    return messages[::-1]


def _marks(metadata: dict[str, Any]) -> dict[str, Any]:
    texts = {name: value[:MAX_MARK_CHARS] for name, value in metadata.items() if isinstance(value, str)}
    marks: dict[str, Any] = {name: texts[name] for name in ("id", "parent_id") if _ID.fullmatch(texts.get(name, ""))}
    marks |= {name: texts[name] for name in ("title", "log") if name in texts}
    if "title" in marks:  # what was thought when a reply was broken off is over, too
        marks["title"] = _OVER.get(marks["title"], marks["title"])
    duration = metadata.get("duration")
    if isinstance(duration, int | float) and 0 <= duration < 1e6:
        marks["duration"] = duration
    return {**marks, "status": "done"} if "title" in marks else marks


def _text(content: Any) -> str:
    if isinstance(content, str):
        return content
    parts = content if isinstance(content, list) else []
    return "".join(part["text"] for part in parts if isinstance(part, dict) and isinstance(part.get("text"), str))
