"""A turn that is stopped before its first word: what was waited for goes at once, and a line says what became of it."""

from typing import Any

import gradio as gr

from hfchat.page_history import WAIT_ID, broken_off, thought_is_over
from hfchat.page_notice import stopped_notice
from hfchat.texts import Language, language_of

History = list[Any]


def say_stopped(page: gr.Blocks, chat: gr.ChatInterface) -> None:
    """Have Gradio's step that ends each turn, stopped or not, say it. Called inside `page`."""

    def end(history: History, request: gr.Request) -> tuple[History, Any]:
        language = language_of(request.headers.get("accept-language", ""))
        ended = with_stop(history, language)
        return ended, gr.skip() if ended is history else ended

    events = page.default_config.fns
    turns = {number for number, event in events.items() if chat.null_component in event.outputs}
    for event in events.values():
        if event.trigger_after in turns and chat.chatbot_state in event.outputs:
            event.fn, event.outputs, event.show_progress = end, [chat.chatbot_state, chat.chatbot], "hidden"


def with_stop(history: History, language: Language) -> History:
    """The conversation as it is; where its last turn was stopped before the first word, with a line that says so."""
    place = next((n for n in range(len(history) - 1, -1, -1) if history[n].get("role") == "user"), None)
    if place is None or not broken_off(history[place:]):
        return history
    said = [entry for entry in history[place:] if (entry.get("metadata") or {}).get("id") != WAIT_ID]
    return [*history[:place], *map(thought_is_over, said), stopped_notice(language)]
