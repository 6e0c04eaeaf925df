"""Events of the chat page (send, stop, retry, undo, edit): a `gr.ChatInterface` whose steps are written anew, in order.

Differences to Gradio's own: the text box stays open during a turn (a hidden button is disabled instead), an edited question is
sent again by the steps of Retry, a turn that was stopped before its first word shows a notice, and steps without an effect are
left out. A text is given to the chatbot as a message: Gradio would clean a bare string, as if it were a function's docstring.
Rests on what `ChatInterface` of the pinned Gradio has under private names; a test lists them.
"""

from collections.abc import Callable
from typing import Any

import gradio as gr

from hfchat.i18n.language import Language
from hfchat.page.history import WAIT_ID, broken_off, cut_reply, text_message, thought_is_over, with_whole_reply
from hfchat.page.notices import stopped_notice
from hfchat.page.visitor import visitor_of

History = list[Any]
# Disabled while a turn is in progress. The page's scripts look at it.
TURN_ID = "hfchat-turn"
# The page's script presses it, for a button in a notice.
CONTINUE_ID = "hfchat-continue"


class ChatPage(gr.ChatInterface):  # type: ignore[misc]
    """The chat of the page. Made inside `gr.Blocks`, with a function that streams, a chatbot and a text box of ours."""

    def _setup_events(self) -> None:
        self._turn = gr.Button(elem_id=TURN_ID, visible="hidden")
        # At each step Gradio marks the outputs of the step as busy, and looks through all that was ever marked: the models of a
        # picker, the whole conversation. A step with a hidden output in their place costs the browser half.
        self._unseen = gr.Textbox(visible=False)
        self._quick: dict[str, Any] = {
            "queue": False,
            "api_visibility": "undocumented",
            "show_progress_on": [self._unseen],
        }
        submission = self.textbox.submit(
            self._clear_and_save_textbox,
            self.textbox,
            [self.textbox, self.saved_input, self._turn],
            **self._quick,
        )
        shown = submission.then(
            self._show_question,
            [self.saved_input, self.chatbot],
            [self.chatbot, self.chatbot_state],
            api_name="_append_message_to_history",
            **self._quick,
        )
        partial = gr.State([])
        turns = [
            self._answer(shown),
            self._answer(self._ask_again()),
            self._answer(self._go_on(partial), partial),
        ]
        # The stop button stands where the send button was, while a turn is in progress.
        submission.success(_show_stop, None, self.textbox, **self._quick)
        for turn in turns:
            turn.then(_show_send, None, self.textbox, **self._quick)
        self.textbox.stop(None, None, None, cancels=turns, show_progress_on=[self._unseen])
        self._setup_other_events()
        self._setup_api()

    @property
    def quiet(self) -> dict[str, Any]:
        """How every other event of the page runs: at once, and with nothing marked as busy."""
        return {**self._quick, "api_visibility": "private", "show_progress": "hidden"}

    def _ask_again(self) -> Any:
        """Retry, and an edited question: the conversation up to it, then the question, then a turn."""
        triggers = [self.chatbot.retry, self.chatbot.edit]
        taken_back = gr.on(
            triggers, self._take_back, self.chatbot, [self.chatbot_state, self.saved_input], **self._quick
        )
        gr.on(triggers, _show_stop, None, self.textbox, **self._quick)
        shown = taken_back.then(
            self._append_message_to_history, [self.saved_input, self.chatbot_state], self.chatbot, **self._quick
        )
        return shown.then(_turn_begins, None, self._turn, **self._quick)

    def _go_on(self, partial: Any) -> Any:
        """Continue: the conversation up to the last question, the question, what there is of its reply, then a turn."""
        button = gr.Button(elem_id=CONTINUE_ID, visible="hidden")
        outputs = [self.chatbot_state, self.saved_input, partial]
        cut = button.click(cut_reply, self.chatbot, outputs, **self._quick)
        button.click(_show_stop, None, self.textbox, **self._quick)
        return cut.then(_turn_begins, None, self._turn, **self._quick)

    def _answer(self, event: Any, *more: Any) -> Any:
        """The turn itself, and its end. `more` are inputs of the function after the others."""
        turn = event.then(
            self._streaming("_submit_fn"),
            [self.saved_input, self.chatbot_state, *self.additional_inputs, *more],
            [self.null_component, self.chatbot],
            api_visibility="undocumented",
            concurrency_limit=self.concurrency_limit,
            show_progress=self.show_progress,
            show_progress_on=[self.chatbot],
        )
        ended = turn.then(
            _end_turn, self.chatbot, [self.chatbot_state, self.chatbot], show_progress="hidden", **self._quick
        )
        ended.then(_turn_is_over, None, self._turn, **self._quick)
        return turn

    def _setup_other_events(self) -> None:
        """Undo, and an example question, which is written into the box. A new chat, which the script begins, is all of Clear."""
        taken_back = self.chatbot.undo(
            self._pop_last_user_message, self.chatbot, [self.chatbot, self.textbox], **self._quick
        )
        taken_back.then(_synchronize, self.chatbot, self.chatbot_state, **self._quick)
        self.chatbot.example_select(self.example_populated, None, self.textbox, **self._quick)

    def _setup_api(self) -> None:
        """`/chat`, for programs that use Gradio's client."""
        self.fake_api_btn.click(
            self._streaming("chat"),
            [self.textbox, self.chatbot_state, *self.additional_inputs],
            [self.api_response, self.chatbot_state],
            api_name=self.api_name,
            api_visibility="public",
            concurrency_limit=self.concurrency_limit,
            postprocess=False,
            show_progress_on=[self._unseen],
        )

    def _message_as_message_dict(self, message: Any, role: Any) -> History:
        """What is added to the conversation; a text as the part of a message that Gradio leaves alone."""
        return [
            {**entry, **text_message(entry["role"], entry["content"])} if isinstance(entry["content"], str) else entry
            for entry in super()._message_as_message_dict(message, role)
        ]

    def _streaming(self, name: str) -> Callable[..., Any]:
        streaming: Callable[..., Any] = self._api_wrapper(self.fn, self._stream_fn)
        streaming.__name__ = name
        return streaming

    def _clear_and_save_textbox(self, message: str) -> tuple[str, str, Any]:
        return "", message, _turn_begins()

    def _show_question(self, question: str, history: History) -> tuple[History, History]:
        """The conversation with the question; and without, for the turn: a session that was dropped has none any more."""
        return self._append_message_to_history(question, history), history

    def _take_back(self, history: History, event: gr.EventData) -> tuple[History, Any]:
        data = event._data or {}
        place, words = data.get("index"), data.get("value")
        # Only an edit says what stood there before.
        if "previous_value" in data and isinstance(place, int) and place >= 0 and isinstance(words, str):
            return history[:place], words
        taken_back: tuple[History, Any] = self._pop_last_user_message(history)
        return taken_back


def _synchronize(history: History) -> History:
    return history


def _turn_begins() -> Any:
    return gr.update(interactive=False)


def _turn_is_over() -> Any:
    return gr.update(interactive=True)


async def _show_stop() -> gr.Textbox:
    return gr.Textbox(submit_btn=False, stop_btn=True)


async def _show_send() -> gr.Textbox:
    return gr.Textbox(submit_btn=True, stop_btn=False)


def _end_turn(history: History, request: gr.Request) -> tuple[History, Any]:
    """The conversation, as the next turn finds it; it is shown anew only where it changed."""
    ended = with_whole_reply(with_stop(history, visitor_of(request).language))
    return ended, gr.skip() if ended is history else ended


def with_stop(history: History, language: Language) -> History:
    """The conversation as it is; where its last turn was stopped before the first word, with a line that says so."""
    place = next((n for n in range(len(history) - 1, -1, -1) if history[n].get("role") == "user"), None)
    if place is None or not broken_off(history[place:]):
        return history
    rest = [entry for entry in history[place:] if (entry.get("metadata") or {}).get("id") != WAIT_ID]
    return [*history[:place], *map(thought_is_over, rest), stopped_notice(language)]
