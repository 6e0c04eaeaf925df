"""Less of what Gradio does in each turn: no steps that nobody needs, and nothing drawn anew for those that nobody sees.

At each of its steps Gradio marks what the step writes into as busy, and with it looks through all that it has ever marked,
the models of a picker, say, or the whole conversation. A step may name something else to be marked.
"""

import gradio as gr


def quieten(page: gr.Blocks, chat: gr.ChatInterface) -> None:
    """Called inside `page`, when all else is in it."""
    events = page.default_config.fns
    # Gradio shows the whole conversation once more after each turn, for who sets `chatbot_value`, which nobody does here:
    # coming late it would overwrite a conversation that was opened meanwhile. And it keeps no conversations here.
    needless = {number for number, event in events.items() if (chat.chatbot_value._id, "change") in event.targets}
    needless |= {
        number for number, event in events.items() if event.fn in (chat._save_conversation, chat._delete_conversation)
    }
    needless |= {number for number, event in events.items() if event.trigger_after in needless}
    for number in needless:
        del events[number]
    nothing_seen = gr.Textbox(visible=False)
    for event in events.values():
        turn = chat.null_component in event.outputs
        event.show_progress_on = [chat.chatbot] if turn else [nothing_seen]
