"""A call in the form that a model's server takes, learnt from the words of its refusals."""

import json
from typing import Any

import pytest

from hfchat.types import Call, Message
from hfchat.upstream.call_form import MAX_MODELS, CallForm, CallForms
from hfchat.upstream.translate import Refusal
from tests.support.rows import each_row

CALL = Call("m", (Message("system", "be brief"), Message("user", "hello")), 64)


def refusal(message: str, status: int = 400, **more: Any) -> Refusal:
    return Refusal(status, json.dumps({"error": {"message": message, **more}}))


USAGE = [
    "Unrecognized request argument supplied: stream_options",
    "[{'type': 'extra_forbidden', 'loc': ('body', 'stream_options'), 'msg': 'Extra inputs are not permitted'}]",
]
MAX_COMPLETION_TOKENS = [
    "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead.",
    "max_tokens is deprecated, please use max_completion_tokens",
    "`max_tokens` has been replaced by `max_completion_tokens`.",
    "Unsupported parameter: max_tokens",
    "Argument not supported on this model: max_tokens",
    "max_tokens is no longer supported",
    "max_tokens can't be set for this model",
    "'max_tokens' may not be specified for o-series models",
    "Use max_completion_tokens",
]
SYSTEM = [
    "System role not supported",
    "System role is not supported for this model.",
    "System messages are not supported",
    "system prompt not supported by gemma-2-9b-it",
    "This model does not support system messages",
    "Unsupported value: 'messages[0].role' does not support 'system' with this model.",
    "Developer instruction is not enabled for models/gemma-3-27b-it",
    "Conversation roles must alternate user/assistant/user/assistant/...",
    "After the optional system message, conversation roles must alternate user/assistant/user/assistant/...",
    "Only user and assistant roles are supported!",
    "Only user, assistant and tool roles are supported, with the exception of an initial optional system message!",
    "Unexpected role 'system' after ''",
    'messages: Unexpected role "system". The Messages API accepts a top-level `system` parameter',
    "Invalid role: system",
    "unknown role `system`",
    "role 'system' is not allowed",
    "Input should be 'user' or 'assistant': messages.0.role",
    "The first message must be from the user",
    "jinja2.exceptions.TemplateError: System role not supported",
    "No system prompt allowed",
    "This model cannot process system messages",
    "Role system is not one of ['user','assistant']",
    "'developer' is not one of ['system', 'assistant', 'user', 'function'] - 'messages.0.role'",
    "System instructions are unavailable",
    "does not work with system prompts",
]


@each_row("status", [400, 422, 500])
@each_row("words", SYSTEM)
def test_words_about_the_system_role_fold_it_into_the_question(words: str, status: int) -> None:
    form = CallForm().other(CALL, refusal(words, status))
    assert form == CallForm(system=False)
    assert form.of(CALL).messages == (Message("user", "be brief\n\nhello"),)


@each_row("words", MAX_COMPLETION_TOKENS)
def test_words_about_the_limit_send_it_by_its_other_name(words: str) -> None:
    form = CallForm().other(CALL, refusal(words))
    assert form == CallForm(max_tokens_name="max_completion_tokens")
    assert form.of(CALL).options == {"max_completion_tokens": 64}


@pytest.mark.parametrize(
    "words",
    [
        "max_tokens must be at most 512",
        "Invalid max_tokens value, the valid range of max_tokens is [1, 8192]",
        "'max_tokens' or 'max_completion_tokens' is too large: 4096",
        "invalid max_tokens: 4096",
    ],
)
def test_words_about_how_many_tokens_there_may_be_change_no_name(words: str) -> None:
    assert CallForm().other(CALL, refusal(words)) is None


def test_the_newer_name_is_sent_by_the_older_one_where_it_is_refused() -> None:
    call = Call("m", CALL.messages, 64, options={"max_completion_tokens": 99, "seed": 1})
    for words in (
        "Unrecognized request argument supplied: max_completion_tokens",
        "max_completion_tokens is not supported",
    ):
        form = CallForm().other(call, refusal(words))
        assert form == CallForm(max_tokens_name="max_tokens")
        assert form.of(call).options == {"max_tokens": 64, "seed": 1}


@pytest.mark.parametrize("words", USAGE)
def test_words_about_usage_leave_the_question_out(words: str) -> None:
    assert CallForm().other(CALL, refusal(words)) == CallForm(ask_usage=False)


OTHER = {
    "another fault": refusal("temperature must be at most 2"),
    "too many tokens": refusal("max_tokens is too large: 99999. This model supports at most 4096 completion tokens"),
    "too long": refusal(
        "This model's maximum context length is 4096 tokens. Please reduce the length of the messages."
    ),
    "a fault of the server's": refusal("An unexpected system error occurred", 500),
    "a failure of the server's": refusal("unknown system failure", 500),
    "a file system": refusal("unsupported file system"),
    "no system message": (refusal("System error: try later")),
    "another status": refusal("System role not supported", 403),
    "a rate limit": refusal("stream_options", 429),
    "nothing": Refusal(400, b""),
}


@each_row("refused", OTHER.values(), ids=OTHER)
def test_other_words_ask_for_no_other_form(refused: Refusal) -> None:
    assert CallForm().other(CALL, refused) is None


def test_a_form_that_was_tried_is_not_tried_again() -> None:
    form = CallForm(ask_usage=False, max_tokens_name="max_completion_tokens", system=False)
    for words in (*USAGE, *MAX_COMPLETION_TOKENS, *SYSTEM):
        assert form.other(CALL, refusal(words)) is None
    assert CallForm().other(Call("m", CALL.messages[1:], 64), refusal(SYSTEM[0])) is None


@pytest.mark.parametrize("roles", [["assistant", "user"], ["user", "assistant"], []])
def test_a_refusal_of_another_order_of_roles_folds_nothing(roles: list[str]) -> None:
    call = Call("m", (Message("system", "a"), *(Message(role, "b") for role in roles)), 64)
    assert CallForm().other(call, refusal("Conversation roles must alternate user/assistant")) is None


PICTURE = {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo"}}
MESSAGES: dict[str, tuple[list[Message], list[Message]]] = {
    "several in front": (
        [Message("system", "a"), Message("developer", "b"), Message("user", "c"), Message("assistant", "d")],
        [Message("user", "a\n\nb\n\nc"), Message("assistant", "d")],
    ),
    "in the middle": (
        [Message("user", "a"), Message("assistant", "b"), Message("system", "c"), Message("user", "d")],
        [Message("user", "a"), Message("assistant", "b"), Message("user", "c\n\nd")],
    ),
    "alone": ([Message("system", "a")], [Message("user", "a")]),
    "before no question": (
        [Message("system", "a"), Message("assistant", "b")],
        [Message("user", "a"), Message("assistant", "b")],
    ),
    "at the end": (
        [Message("user", "a"), Message("assistant", "b"), Message("system", "c")],
        [Message("user", "c\n\na"), Message("assistant", "b")],
    ),
    "before a picture": (
        [Message("system", "a"), Message("user", "", {"role": "user", "content": [PICTURE]})],
        [Message("user", "a", {"role": "user", "content": [{"type": "text", "text": "a"}, PICTURE]})],
    ),
    "before a named message": (
        [Message("system", "a"), Message("user", "b", {"role": "user", "content": "b", "name": "x"})],
        [Message("user", "a\n\nb", {"role": "user", "content": "a\n\nb", "name": "x"})],
    ),
}


@each_row(("messages", "folded"), MESSAGES.values(), ids=MESSAGES)
def test_what_the_system_says_stands_before_the_next_question(messages: list[Message], folded: list[Message]) -> None:
    sent = CallForm(system=False).of(Call("m", tuple(messages), 9)).messages
    assert list(sent) == folded
    assert [message.raw for message in sent] == [message.raw for message in folded]


def test_forms_are_remembered_by_model_and_within_a_bound() -> None:
    forms = CallForms()
    form = CallForm(system=False)
    for number in range(MAX_MODELS + 1):
        forms.remember(f"m{number}", form)
    assert [forms.get(model) for model in ("m0", "m1", f"m{MAX_MODELS}", "x")] == [CallForm(), form, form, CallForm()]
