"""Which of Gradio's steps of a turn close the box, and which of them there are at all."""

from collections.abc import Iterator

import gradio as gr
import pytest

from hfchat.page_draft import TURN_ID, keep_box_open
from hfchat.page_quiet import quieten


def answer(text: str, history: list[object]) -> Iterator[str]:
    yield text


@pytest.mark.anyio  # where no event loop runs, Gradio makes one and leaves it open
async def test_a_turn_closes_a_button_instead_of_the_box_and_does_nothing_else_in_vain() -> None:
    with gr.Blocks() as page:
        chat = gr.ChatInterface(answer)
        keep_box_open(page, chat)
        quieten(page, chat)
    (turn,) = [block for block in page.blocks.values() if getattr(block, "elem_id", "") == TURN_ID]
    steps = list(page.default_config.fns.values())
    begins, *others = [step for step in steps if turn in step.outputs]
    # A question, the end of its turn; Retry, and the end of its.
    assert begins.fn("a question") == ("", "a question", gr.update(interactive=False))
    assert [step.fn() for step in others] == [gr.update(interactive=open_) for open_ in (True, False, True)]
    assert [step.outputs for step in (begins, *others)] == [
        [chat.textbox, chat.saved_input, turn],
        [turn],
        [turn],
        [turn],
    ]
    assert chat._clear_and_save_textbox not in [step.fn for step in steps]
    # Gradio keeps no conversations here.
    assert all(chat.conversation_id not in step.outputs for step in steps)
    turns = [step for step in steps if step.show_progress_on == [chat.chatbot]]
    assert len(turns) == 3
    assert all(step.outputs[:2] == [chat.null_component, chat.chatbot] for step in turns)
