"""Page layout, from top to bottom: header with the settings, conversation, text box; all of it Gradio components."""

from typing import Any

import gradio as gr

from hfchat.chat.catalog import Catalog
from hfchat.chat.chat import Chat
from hfchat.i18n.language import ENGLISH
from hfchat.i18n.sentences import CHAT
from hfchat.page.appearance import Appearance
from hfchat.page.chat_interface import ChatPage
from hfchat.page.conversations import PICTURES_ID, keep_conversations
from hfchat.page.gradio_translations import translations
from hfchat.page.header import account_menu, brand, remaining_html
from hfchat.page.presence import OpenConnections
from hfchat.page.ratings import Ratings
from hfchat.page.reply_pictures import ReplyPictures
from hfchat.page.respond import responder
from hfchat.page.settings_panel import ChatSettings
from hfchat.page.visitor import visitor_of

# Where KaTeX is loaded for; which parts of a message are formulas says static/formulas.js.
_LATEX = [
    *(
        {"left": f"\\begin{{{name}}}", "right": f"\\end{{{name}}}", "display": True}
        for name in ("equation", "equation*", "align", "align*", "gather", "gather*")
    ),
    *(
        {"left": left, "right": right, "display": display}
        for left, right, display in (("$$", "$$", True), ("\\[", "\\]", True), ("\\(", "\\)", False), ("$", "$", False))
    ),
]
_EXAMPLES = ("example_1", "example_2", "example_3")


def build_page(
    chat: Chat,
    catalog: Catalog,
    look: Appearance,
    connections: OpenConnections,
    ratings: Ratings,
    *,
    routed: bool,
    offline: bool,
) -> gr.Blocks:
    """The page's blocks. `routed`: a model's name may have a provider after its colon; `offline`: no model answers."""
    i18n = translations()
    settings = ChatSettings(catalog, routed, i18n)
    with gr.Blocks(title=look.title, fill_height=True, analytics_enabled=False) as page:
        with gr.Row(elem_id="hfchat-header", equal_height=False):
            gr.Markdown(brand(look), elem_id="hfchat-brand", sanitize_html=False, latex_delimiters=[])
            settings.header()
            settings.panel()
            who = gr.Markdown(elem_id="hfchat-who", sanitize_html=False, latex_delimiters=[])
        if offline:
            gr.Markdown(i18n("hfchat_offline"), elem_id="hfchat-offline", latex_delimiters=[])
        chatbot = gr.Chatbot(
            label=i18n("hfchat_conversation"),
            placeholder=look.greeting or i18n("hfchat_greeting"),
            buttons=["copy"],
            autoscroll=False,  # static/scrolling.js
            latex_delimiters=_LATEX,
            scale=1,
            editable="user",
            allow_tags=True,  # tags that HTML does not know are shown as they are written: `List<String>`
            show_label=False,
            feedback_options=["Like", "Dislike"],
            elem_id="hfchat-conversation",
        )
        # The page's script writes into it what the question, and what was said before, has of pictures.
        pictures = gr.Textbox(visible=False, elem_id=PICTURES_ID)
        reply_pictures = ReplyPictures()
        interface = ChatPage(
            responder(chat, ratings, catalog, connections, reply_pictures),
            api_name="chat",
            concurrency_limit=None,
            flagging_mode="never",
            save_history=False,
            show_progress="hidden",
            examples=[[text] for text in look.examples or (CHAT[ENGLISH][key] for key in _EXAMPLES)],
            run_examples_on_click=False,
            chatbot=chatbot,
            textbox=gr.Textbox(
                show_label=False,
                label=i18n("hfchat_placeholder"),
                placeholder=i18n("hfchat_placeholder"),
                scale=7,
                autofocus=True,
                submit_btn=True,
                stop_btn=True,
                max_lines=12,
                elem_id="hfchat-box",
            ),
            additional_inputs=[*settings.inputs, pictures],
        )
        keep_conversations(interface, ratings, reply_pictures)
        # The page's script presses it after each turn, and writes the answer into the menu, which stays as it is otherwise.
        turn_ended = gr.Button(elem_id="hfchat-turn-ended")
        left, low = gr.Textbox(visible=False), gr.Textbox(visible=False)
        quiet = interface.quiet
        page.load(account_menu, None, who, **quiet)
        turn_ended.click(remaining_html, None, [left, low], **quiet)
        chatbot.like(ratings.rate, None, None, trigger_mode="multiple", **quiet)
        settings.connect(page, quiet)
        if not look.examples:
            page.load(_examples, None, chatbot, **quiet)
    return page


def _examples(request: gr.Request) -> Any:
    """The page's own examples in the visitor's language."""
    language = visitor_of(request).language
    if language == ENGLISH:
        return gr.skip()
    return gr.Chatbot(examples=[{"text": CHAT[language][key]} for key in _EXAMPLES])
