"""Before the first word the page says what is waited for: a place, a slow model, another try."""

from hfchat.chat.retries import Attempt
from hfchat.i18n.language import Language
from hfchat.page.continued_reply import ContinuedReply
from hfchat.page.reply_view import LONG_S, PLACE_S, QUIET_S, ReplyView
from hfchat.types import Delta, Finish
from tests.support.rows import each_row

ONE, TWO, PINNED = "org/one:fastest", "org/two", "org/one:prov"
# the attempts so far, how long nothing came since, what is said
WAITS: dict[str, tuple[list[str], float, str]] = {
    "a moment without a place": ([], PLACE_S / 2, ""),
    "without a place": ([], PLACE_S, "Waiting until one of your other replies ends…"),
    "a moment": ([ONE], QUIET_S / 2, ""),
    "some time": ([ONE], QUIET_S, "Waiting for `one:fastest`…"),
    "a long time": ([ONE], LONG_S, "`one:fastest` is slow: it may be loading. You can stop it, or keep waiting."),
    "the same again": ([ONE, ONE], 0, "`one:fastest` does not answer: trying again (attempt 2)…"),
    "a third time": ([ONE, ONE, ONE], 0, "`one:fastest` does not answer: trying again (attempt 3)…"),
    "another provider": ([ONE, PINNED], 0, "`one:fastest` does not answer: trying `one:prov`…"),
    "another model": ([ONE, ONE, TWO], 0, "`one:fastest` does not answer: trying `two`…"),
}


@each_row(("models", "silent_s", "said"), WAITS.values(), ids=WAITS)
def test_what_is_waited_for_is_said(models: list[str], silent_s: float, said: str) -> None:
    now = 100.0
    view = ReplyView("en", lambda: now)
    for number, model in enumerate(models, 1):
        view.trying(Attempt(model, number))
    now += silent_s
    assert view.messages()[0]["content"] == said


def a_turn(language: Language = "en") -> tuple[ReplyView, list[float]]:
    now = [100.0]
    shown = ReplyView(language, lambda: now[0])
    shown.trying(Attempt("model"))
    return shown, now


def test_a_continued_reply_stands_there_from_the_start_and_grows() -> None:
    thought = {"role": "assistant", "content": "hm", "metadata": {"title": "Reasoning", "status": "done"}}
    shown = ReplyView("en", continued=ContinuedReply("The cat sat on the m"), thoughts=[thought])
    shown.trying(Attempt("model"))
    assert shown.can_continue
    assert shown.messages() == [thought, {"role": "assistant", "content": "The cat sat on the m"}]
    shown.add(Delta("on the mat"))
    shown.add(Finish("model"))
    assert shown.messages(final=True) == [thought, {"role": "assistant", "content": "The cat sat on the mat"}]


def test_a_continued_reply_stays_where_nothing_comes() -> None:
    shown = ReplyView("en", lambda: 100.0, continued=ContinuedReply("half a wo"))
    shown.trying(Attempt("model"))
    assert [message["content"] for message in shown.messages(final=True)] == ["half a wo"]


def test_what_cannot_go_on() -> None:
    shown, _ = a_turn()
    assert not shown.can_continue
    shown.add(Delta("", "hm"))
    assert not shown.can_continue
    shown.add(Delta("word"))
    assert shown.can_continue
