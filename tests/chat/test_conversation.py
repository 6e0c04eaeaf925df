"""What may be sent as a conversation, and what goes upstream of it."""

import pytest

from hfchat.chat.conversation import MAX_MESSAGES, build_messages, check_messages, drop_oldest
from hfchat.errors import InvalidRequest
from hfchat.types import Message
from tests.support.errors import reason_of
from tests.support.rows import each_row


def talk(*contents: str) -> tuple[Message, ...]:
    """The user and the assistant in turn, so that the user's is the last."""
    roles: tuple[str, str] = ("user", "assistant")
    return tuple(Message(roles[(len(contents) - 1 - place) % 2], content) for place, content in enumerate(contents))


GOOD = {
    "one": talk("hi"),
    "three": talk("hi", "hello", "why?"),
    "begins with the assistant": talk("hello", "hi"),
    "the user twice": (Message("user", "a"), Message("user", "b")),
    "as many as are taken": talk(*["a"] * MAX_MESSAGES),
    "long": talk("a" * 1_000_000),
}
WRONG = {
    "none": ((), "no_messages", "messages"),
    "too many": (talk(*["a"] * (MAX_MESSAGES + 1)), f"too_many_messages|{MAX_MESSAGES}", "messages"),
    "empty": (talk(""), "empty_content", "messages[0].content"),
    "white": (talk(" \n\t\u3000"), "empty_content", "messages[0].content"),
    "empty in the middle": (talk("hi", "", "why?"), "empty_content", "messages[1].content"),
    "the assistant's last": (talk("hi", "hello", "")[:2], "last_not_user", "messages[1].role"),
    "the system's last": ((Message("user", "hi"), Message("system", "no")), "last_not_user", "messages[1].role"),
}


@each_row("messages", GOOD.values(), ids=GOOD)
def test_a_conversation_that_can_be_answered_is_taken(messages: tuple[Message, ...]) -> None:
    check_messages(messages)
    assert build_messages(None, messages) == messages


@each_row(("messages", "detail", "param"), WRONG.values(), ids=WRONG)
def test_a_conversation_that_cannot_is_refused_with_its_place(
    messages: tuple[Message, ...], detail: str, param: str
) -> None:
    with pytest.raises(InvalidRequest) as refused:
        check_messages(messages)
    assert (reason_of(refused.value), refused.value.param) == (detail, param)


def test_the_owners_system_prompt_is_first_and_the_rest_is_as_it_was() -> None:
    messages = talk("hi", "hello", "why?")
    assert build_messages("Be brief.", messages) == (Message("system", "Be brief."), *messages)
    assert build_messages("", messages) == messages


def test_no_message_shows_its_words() -> None:
    assert "Zq8" not in repr(build_messages("Zq8 system", talk("Zq8 user")))


FITTING = {
    "all fit": (talk("a", "b", "c"), 10, 100, "abc"),
    "the newest by number": (talk("a", "b", "c", "d", "e"), 3, 100, "cde"),
    "from a user's message on": (talk("a", "b", "c", "d", "e"), 4, 100, "cde"),
    "the newest by length": (talk("aaaa", "b", "c", "d", "e"), 10, 7, "cde"),
    "just as long as fits": (talk("a", "b", "c"), 10, 3, "abc"),
    "one longer than fits": (talk("a", "b", "c"), 10, 2, "c"),
    "the last stays whatever its length": (talk("a", "b", "c" * 9), 10, 2, "c" * 9),
    "one": (talk("a"), 1, 1, "a"),
    "none": ((), 5, 5, ""),
}


@each_row(("messages", "number", "chars", "kept"), FITTING.values(), ids=FITTING)
def test_the_oldest_that_do_not_fit_are_dropped(
    messages: tuple[Message, ...], number: int, chars: int, kept: str
) -> None:
    left = drop_oldest(messages, max_messages=number, max_chars=chars)
    assert "".join(message.content for message in left) == kept
    assert [message.role for message in left[:1]] in ([], ["user"])


def test_a_visitors_instructions_follow_the_owners_in_one_message() -> None:
    question = Message("user", "hello")
    theirs = Message("system", "Obey me.")
    assert build_messages("Be kind.", (theirs, question)) == (Message("system", "Be kind.\n\nObey me."), question)
    assert build_messages(None, (theirs, question)) == (theirs, question)


def raw(role: str, content: object) -> Message:
    """As it comes in OpenAI's form."""
    texts = [part["text"] for part in content] if isinstance(content, list) else [content or ""]
    return Message(role, "\n".join(texts), {"role": role, "content": content})


HI, HELLO = raw("user", "hi"), raw("assistant", "hello")
THEIRS = raw("system", "Obey me.")
PARTS = [{"type": "text", "text": "Obey"}, {"type": "text", "text": "me."}]
# The messages, and what stands after the owner's words in the one system message.
INSTRUCTIONS: dict[str, tuple[tuple[Message, ...], str]] = {
    "a system message": ((THEIRS, HI), "Obey me."),
    "a developer message": ((raw("developer", "Obey me."), HI), "Obey me."),
    "both": ((THEIRS, raw("developer", "Or not."), HI), "Obey me.\n\nOr not."),
    "parts": ((raw("system", PARTS), HI), "Obey\nme."),
    "several": ((THEIRS, THEIRS, HI, HELLO), "Obey me.\n\nObey me."),
    "in the middle": ((HI, HELLO, THEIRS, HI), "Obey me."),
    "at the end": ((HI, raw("developer", PARTS)), "Obey\nme."),
    "an empty one among them": ((raw("system", None), raw("system", "  "), raw("system", []), THEIRS, HI), "Obey me."),
}


@each_row(("messages", "theirs"), INSTRUCTIONS.values(), ids=INSTRUCTIONS)
@each_row("owners", ["Be kind.", None])
def test_all_instructions_become_one_system_message_in_front(
    messages: tuple[Message, ...], theirs: str, owners: str | None
) -> None:
    first, *others = build_messages(owners, messages)
    text = f"{owners}\n\n{theirs}" if owners else theirs
    assert first.payload() == {"role": "system", "content": text}
    assert others == [message for message in messages if message.role not in ("system", "developer")]


def test_where_there_are_no_instructions_there_is_no_system_message() -> None:
    assert build_messages(None, (raw("system", ""), raw("developer", None), HI)) == (HI,)
    assert build_messages("Be kind.", (raw("system", ""), HI)) == (Message("system", "Be kind."), HI)


def test_one_plain_system_message_goes_as_it_is() -> None:
    named = Message("system", "Obey me.", {"role": "system", "content": "Obey me.", "name": "rules"})
    assert build_messages(None, (named, HI)) == (named, HI)
