"""Conversation list: ties the chat to what the visitor's browser stores; `static/conversations` stores, lists and opens it.
`static/pictures` takes, keeps and shows the pictures and files of their questions, and hands them over with what is asked.
Pictures of replies it fetches, keeps and shows.

Nothing of them is stored here. What the browser gives to be opened is read anew, as if it came from a stranger.
"""

import hashlib
import json
import re
from typing import Any

import gradio as gr

from hfchat.page.chat_interface import ChatPage
from hfchat.page.history import messages_to_show
from hfchat.page.pdf_text import PdfTexts
from hfchat.page.ratings import Ratings
from hfchat.page.reply_pictures import ReplyPictures
from hfchat.page.visitor import visitor_of

PICTURES_ID = "hfchat-images"
_PICTURE_ID = re.compile(r"[0-9a-f]{32}")
MAX_IDS_CHARS = 1000


def keep_conversations(chat: ChatPage, ratings: Ratings, reply_pictures: ReplyPictures) -> None:
    """Let the page's script ask what the chat shows, and show what it opens. Called inside the page.

    The script presses the buttons. It finds the conversation in the request that follows: that of the first it answers
    itself, and into that of the second it writes what is to be opened. (Gradio's way, `js=`, needs `eval`, which the
    page's policy forbids.)
    """

    def open_(stored: list[Any], request: gr.Request) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
        ratings.forget(request.session_hash)
        conversation = messages_to_show(stored)
        return conversation, conversation

    def fetch(ids: str, request: gr.Request) -> str:
        owner = visitor_of(request).person
        return json.dumps(reply_pictures.of(owner, _PICTURE_ID.findall(str(ids)[:MAX_IDS_CHARS])))

    pdfs = PdfTexts()

    async def read_pdf(pdf: object, request: gr.Request) -> str:
        return await pdfs.read(pdf, visitor_of(request).person)

    quiet = chat.quiet
    read = gr.Button(elem_id="hfchat-read", visible="hidden")
    read.click(_nothing, chat.chatbot, None, trigger_mode="multiple", **quiet)
    thumbs = gr.Button(elem_id="hfchat-thumbs", visible="hidden")
    thumbs.click(_nothing, None, chat.chatbot, trigger_mode="multiple", **quiet)
    opening = gr.Button(elem_id="hfchat-open", visible="hidden")
    opening.click(open_, chat.chatbot, [chat.chatbot, chat.chatbot_state], **quiet)
    person = gr.Button(elem_id="hfchat-person", visible="hidden")
    answer = gr.Textbox(visible=False)
    person.click(_person, None, answer, **quiet)
    fetching = gr.Button(elem_id="hfchat-fetch-pictures", visible="hidden")
    ids, fetched = gr.Textbox(visible=False), gr.Textbox(visible=False)
    fetching.click(fetch, ids, fetched, trigger_mode="multiple", **quiet)
    reading = gr.Button(elem_id="hfchat-read-pdf", visible="hidden")
    pdf, pdf_text = gr.Textbox(visible=False), gr.Textbox(visible=False)
    reading.click(read_pdf, pdf, pdf_text, trigger_mode="multiple", **quiet)


def _person(request: gr.Request) -> str:
    """Whose conversations the browser is to list: the same after each sign-in and restart, and no secret."""
    return hashlib.sha256(f"hfchat\0{visitor_of(request).person}".encode()).hexdigest()[:32]


def _nothing(*_: Any) -> Any:
    return gr.skip()
