"""Questions that are edited: each is asked again in its new words, from its place on, by the steps of Gradio's Retry.

Gradio has steps of its own for that, but a turn that they begin cannot be stopped.
"""

from typing import Any

import gradio as gr

History = list[Any]


def edit_as_retry(page: gr.Blocks, chat: gr.ChatInterface) -> None:
    """Let visitors edit what they asked, at any place. Called inside `page`."""

    def take_back(history: History, event: gr.EventData) -> tuple[History, Any]:
        sent = event._data or {}
        place, words = sent.get("index"), sent.get("value")
        # Only an edit says what stood there before.
        if "previous_value" in sent and isinstance(place, int) and place >= 0 and isinstance(words, str):
            return history[:place], words
        stays, asked = chat._pop_last_user_message(history)
        return stays, asked

    chat.chatbot.editable = "user"
    retry, edit = ((chat.chatbot._id, event) for event in ("retry", "edit"))
    for step in page.default_config.fns.values():
        if retry not in step.targets:
            continue
        step.targets.append(edit)
        if chat.chatbot_state in step.inputs:
            # The conversation as it is shown: what Gradio has beside it is a moment late when a turn has ended.
            step.fn, step.inputs, step.collects_event_data = take_back, [chat.chatbot], True
