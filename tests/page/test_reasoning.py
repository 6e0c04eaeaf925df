"""What a model thinks aloud: told apart from its answer, whole and in every cut, and how long it took."""

import pytest

from hfchat.chat.retries import Attempt
from hfchat.i18n.language import Language
from hfchat.page.reasoning import split_reasoning
from hfchat.page.reply_view import ReplyView
from hfchat.types import Delta, Finish

REPLIES: dict[str, tuple[str, str, str]] = {
    "no thought": ("the answer", "", "the answer"),
    "a thought": ("<think>hm</think>the answer", "hm", "the answer"),
    "with room around": ("\n<think>\nhm\n\n</think>\n\n the answer\n", "hm", "the answer\n"),
    "two thoughts": ("<think>hm</think> <think>yes</think>the answer", "hm\n\nyes", "the answer"),
    "an empty one": ("<think>\n\n</think>\n\nthe answer", "", "the answer"),
    "it does not end": ("<think>a < b </thin", "a < b </thin", ""),
    "a tag later on": ("write `<think>x</think>`", "", "write `<think>x</think>`"),
    "another tag": ("<thing>x</thing>", "", "<thing>x</thing>"),
    "a sign": ("< 5", "", "< 5"),
    "part of a tag": ("<thi", "", "<thi"),
    "nothing": ("", "", ""),
}


@pytest.mark.parametrize(("reply", "thoughts", "answer"), REPLIES.values(), ids=REPLIES)
def test_thoughts_are_told_apart(reply: str, thoughts: str, answer: str) -> None:
    assert split_reasoning(reply, whole=True) == (thoughts, answer)


@pytest.mark.parametrize(("reply", "thoughts", "answer"), REPLIES.values(), ids=REPLIES)
def test_what_is_shown_only_grows_and_no_part_of_a_tag_is_shown(reply: str, thoughts: str, answer: str) -> None:
    for length in range(len(reply)):
        so_far = split_reasoning(reply[:length], whole=False)
        assert thoughts.startswith(so_far[0].strip())
        assert answer.startswith(so_far[1])


def a_turn(language: Language = "en") -> tuple[ReplyView, list[float]]:
    now = [100.0]
    shown = ReplyView(language, lambda: now[0])
    shown.trying(Attempt("model"))
    return shown, now


@pytest.mark.parametrize("tags", [False, True], ids=["its own field", "between tags"])
def test_a_thought_has_its_time_once_it_is_over(tags: bool) -> None:
    shown, now = a_turn()
    shown.add(Delta("<think>hm") if tags else Delta("", "hm"))
    (thought,) = shown.messages()
    assert (thought["content"], thought["metadata"]) == ("hm", {"title": "Thinking…", "status": "pending"})
    now[0] += 2.34
    shown.add(Delta("</think>yes" if tags else "yes"))
    for _ in range(2):
        thought, answer = shown.messages()
        assert thought["metadata"] == {"title": "Reasoning", "status": "done", "duration": 2.3}
        assert answer == {"role": "assistant", "content": "yes"}
        now[0] += 5


def test_a_thought_without_an_answer_is_over_in_the_end() -> None:
    shown, _ = a_turn("es")
    shown.add(Delta("", "hm"))
    assert shown.messages()[0]["metadata"]["title"] == "Pensando…"
    shown.add(Finish("model", "length", None))
    (thought,) = shown.messages(final=True)
    assert thought["metadata"] == {"title": "Razonamiento", "status": "done", "duration": 0.1}


def test_what_may_yet_become_a_tag_is_waited_for() -> None:
    shown, _ = a_turn()
    shown.add(Delta("<thi"))
    assert [message["content"] for message in shown.messages()] == [""]
    shown.add(Delta("s"))
    assert [message["content"] for message in shown.messages()] == ["<this"]
