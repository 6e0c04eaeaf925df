"""The box stays open while a reply comes: the next question can be written meanwhile, and is sent once the turn is over.

Gradio closes the box for a turn. Here it closes a button that nobody sees instead: the page's script looks at it.
"""

from functools import partial
from inspect import iscoroutinefunction
from typing import Any

import gradio as gr

TURN_ID = "hfchat-turn"


def keep_box_open(page: gr.Blocks, chat: gr.ChatInterface) -> None:
    """Called inside `page`."""
    turn = gr.Button(elem_id=TURN_ID, visible="hidden")

    def begin(question: str) -> tuple[str, str, Any]:
        return "", question, gr.update(interactive=False)

    for event in page.default_config.fns.values():
        if event.fn == chat._clear_and_save_textbox:
            event.fn, event.outputs = begin, [chat.textbox, chat.saved_input, turn]
        elif event.outputs == [chat.textbox] and not event.inputs and not iscoroutinefunction(event.fn):
            given = event.fn() if event.fn and not event.collects_event_data else {}
            if "interactive" in given:
                event.fn, event.outputs = partial(gr.update, interactive=given["interactive"]), [turn]
                event.queue = False
