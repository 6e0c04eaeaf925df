"""Conversation: checks messages and puts the owner's system prompt in front of them. Pure."""

from collections.abc import Sequence

from hfchat.errors import InvalidRequest
from hfchat.types import Message

MAX_MESSAGES = 500


def check_messages(messages: Sequence[Message]) -> None:
    """Raises: InvalidRequest, with the field as `param`, for a conversation that no model could answer."""
    if not messages:
        raise InvalidRequest("no_messages", param="messages")
    if len(messages) > MAX_MESSAGES:
        raise InvalidRequest("too_many_messages", params={"value": MAX_MESSAGES}, param="messages")
    for index, message in enumerate(messages):
        if not message.content.strip():
            raise InvalidRequest("empty_content", param=f"messages[{index}].content")
    if messages[-1].role != "user":
        raise InvalidRequest("last_not_user", param=f"messages[{len(messages) - 1}].role")


def build_messages(system_prompt: str | None, messages: Sequence[Message]) -> tuple[Message, ...]:
    """The messages to send: the owner's system prompt, if any, then the conversation.

    A visitor's own system message is appended to the owner's: many models take one only.
    """
    if not system_prompt:
        return tuple(messages)
    first = messages[0] if messages else None
    if first is not None and first.role == "system" and first.raw is None:
        return (Message("system", f"{system_prompt}\n\n{first.content}"), *messages[1:])
    return (Message("system", system_prompt), *messages)


def drop_oldest(messages: Sequence[Message], *, max_messages: int, max_chars: int) -> list[Message]:
    """The newest messages within both limits, beginning with a user's; the last one always stays."""
    newest: list[Message] = []
    chars = 0
    for message in reversed(messages[-max_messages:]):
        chars += len(message.content)
        if newest and chars > max_chars:
            break
        newest.append(message)
    newest.reverse()
    while len(newest) > 1 and newest[0].role != "user":
        newest.pop(0)
    return newest
