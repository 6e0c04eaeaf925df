"""Conversation: checks messages, and puts all instructions into one system message, the owner's system prompt first. Pure."""

from collections.abc import Sequence

from hfchat.errors import InvalidRequest
from hfchat.types import Message

MAX_MESSAGES = 500
INSTRUCTION_ROLES = ("system", "developer")


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
    """The messages to send: one system message, if there are any instructions, then the conversation.

    It has the owner's words, then those of all system and developer messages, wherever they stood: the templates of many models
    take one system message only, only in front, only as a text, and no `developer`.
    """
    instructions = [message for message in messages if message.role in INSTRUCTION_ROLES]
    if not instructions:
        return (Message("system", system_prompt), *messages) if system_prompt else tuple(messages)
    if not system_prompt and len(instructions) == 1 and _is_plain(messages[0]):
        return tuple(messages)
    texts = [system_prompt, *(message.content for message in instructions)]
    joined = "\n\n".join(text for text in texts if text and text.strip())
    conversation = [message for message in messages if message.role not in INSTRUCTION_ROLES]
    return (Message("system", joined), *conversation) if joined else tuple(conversation)


def _is_plain(message: Message) -> bool:
    """Whether every template takes it as it is: a system message whose content is a text."""
    plain = message.raw is None or isinstance(message.raw.get("content"), str)
    return message.role == "system" and plain and bool(message.content.strip())


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
