"""View of a reply while it streams: what a model thinks aloud is told apart from its answer, and how long it took."""

import pytest

from hfchat.chat.retries import Attempt
from hfchat.i18n.language import Language
from hfchat.page.reply_view import ReplyView
from hfchat.types import Delta, Finish


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


def test_a_thought_that_is_known_by_its_end_is_folded_when_that_comes() -> None:
    shown, now = a_turn()
    shown.add(Delta("hm"))
    assert [message["content"] for message in shown.messages()] == ["hm"]
    now[0] += 2
    shown.add(Delta("</think>yes"))
    thought, answer = shown.messages()
    assert (thought["content"], thought["metadata"]["duration"], answer["content"]) == ("hm", 2.0, "yes")
    shown.add(Finish("model"))
    assert [message["content"] for message in shown.messages(final=True)] == ["hm", "yes"]


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
