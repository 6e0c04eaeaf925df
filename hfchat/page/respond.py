"""Turn handler of the page: the visitor's message goes to `chat`, and the reply is shown as it streams.

A failed turn is shown, never raised: an exception would disable the page's text box until it is loaded anew.
"""

import asyncio
import secrets
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing, suppress
from dataclasses import replace
from typing import Any

import gradio as gr

from hfchat.chat.catalog import Catalog
from hfchat.chat.chat import Chat
from hfchat.errors import HfchatError
from hfchat.http.in_thread import in_thread
from hfchat.http.json_bounds import check_json
from hfchat.i18n.endings import ending
from hfchat.i18n.language import Language
from hfchat.ledger.meters import Principal
from hfchat.page.continued_reply import INSTRUCTION, ContinuedReply
from hfchat.page.files import has_files, read_files, with_files
from hfchat.page.history import CUT_ID, messages_for_model, page_note, split_reply
from hfchat.page.inputs import ChatInputs
from hfchat.page.notices import continue_button, facts, notice, same_model, sources_note
from hfchat.page.pictures import has_pictures, read_pictures, with_pictures
from hfchat.page.presence import OpenConnections
from hfchat.page.ratings import Ratings
from hfchat.page.reply_pictures import ReplyPictures
from hfchat.page.reply_view import ReplyView
from hfchat.page.visitor import visitor_of
from hfchat.types import ADMIN_SCOPE, Delta, Finish, Message

# A reader sees no more than this, and each yield makes Gradio work through the whole conversation. What grows to more than
# so many signs in one piece, a table or a program, is drawn less often, so that the browser keeps up.
SHOW_EVERY_S = 0.06
SHOW_EVERY_CHARS = 4000
# The most values in the field of pictures: two, id and data, for each.
MAX_PICTURE_VALUES = 1000
# Gradio notices a closed tab only when something is yielded.
PULSE_S = 1.0


def responder(
    chat: Chat, ratings: Ratings, catalog: Catalog, connections: OpenConnections, reply_pictures: ReplyPictures
) -> Callable[..., AsyncGenerator[Any, None]]:
    """The function of the page's `gr.ChatInterface`."""

    async def respond(
        message: str,
        history: list[Any],
        request: gr.Request,
        # None by default, so that a program need not name them.
        model: str | None = None,
        provider: str | None = None,
        system_prompt: str | None = None,
        temperature: float | None = None,
        top_p: float | None = None,
        max_tokens: float | None = None,
        details: bool = False,
        pictures: str | None = None,
        continued: list[Any] | None = None,
    ) -> AsyncGenerator[Any, None]:
        """Answer the message. Gives what there is of the reply, again and again, as it grows.

        A text; a list of messages where there is more to it: what the model thought aloud, a notice of failure, or, with
        `details`, which model answered. What is None is as the owner or the model has it. `pictures` are those that the
        conversation refers to, and its files, as JSON: data URLs by id. `continued` is what there is of the
        reply already, where it was cut: the model goes on from there, and what is given is the whole.
        """
        caller, _, language = visitor_of(request)
        request_id = secrets.token_hex(8)
        choices = ChatInputs(model, provider, system_prompt, temperature, top_p, max_tokens)
        thoughts, notes, partial = split_reply(continued or [])
        continued_reply = ContinuedReply(partial)
        view = ReplyView(language, continued=continued_reply, thoughts=thoughts)
        listener = connections.turn(request.request.url.path, request.session_hash)
        try:
            go_on = (Message("assistant", partial), Message("user", INSTRUCTION)) if partial.strip() else ()
            chat_request = choices.request(
                (*messages_for_model(history), Message("user", message or ""), *go_on), caller.policy
            )
            questions = 1 + len(go_on) // 2
            shows, reads = has_pictures(chat_request.messages), has_files(chat_request.messages)
            if shows or reads:
                await check_json(str(pictures or "").encode(errors="replace"), MAX_PICTURE_VALUES)
            if shows:
                asked_model = chat_request.model or caller.policy.default_model
                facts_of_model = await catalog.facts(asked_model)
                pictures_by_id = read_pictures(pictures)
                with_media = with_pictures(
                    chat_request.messages, pictures_by_id, asked_model, facts_of_model, questions
                )
                chat_request = replace(chat_request, messages=with_media)
            if reads:
                files = await in_thread(len(pictures or ""), read_files, pictures)
                read = with_files(chat_request.messages, files, questions)
                chat_request = replace(chat_request, messages=read)
            turn = chat.stream(caller, chat_request, request_id=request_id, on_attempt=view.trying)
            async with aclosing(_paced(turn, view)) as paces:
                async for _ in paces:
                    if listener.disconnected():
                        return
                    messages = [*view.messages(), *notes]
                    yield messages[0]["content"] if len(messages) == 1 and "metadata" not in messages[0] else messages
            shown = reply_pictures.message(Principal.of(caller).key, view.extras.pictures, language)
            after = [*shown, *_after(view, language, details=details is True)]
            if after:
                yield [*view.messages(final=True), *notes, *after]
        except HfchatError as error:
            may_pay = caller.account is not None and caller.account.may_choose and not caller.own_credit
            to_owner = ADMIN_SCOPE in caller.scopes
            error_notice = notice(
                error, language, request_id, to_owner, may_pay=may_pay, can_continue=view.can_continue
            )
            yield [*view.messages(final=True), *notes, error_notice]
        finally:
            # After the history and the question.
            ratings.answered(request.session_hash, len(history) + 1, request_id, view.answered)

    return respond


def _after(view: ReplyView, language: Language, *, details: bool) -> list[dict[str, Any]]:
    """What is said under a whole reply; that another model answered is said in any case."""
    finish = view.finish
    notes = []
    if finish is not None:
        sentence = ending(finish.finish_reason, view.extras.tools, language, empty=view.empty)
        if sentence and finish.finish_reason == "length" and view.can_continue:
            sentence = f"{sentence}\n\n{continue_button(language)}"
        notes += [page_note(sentence, CUT_ID)] if sentence else []
    if view.extras.sources:
        notes.append(sources_note(view.extras.sources, language))
    if finish is not None and (details or not same_model(view.answered, view.asked)):
        notes.append(facts(finish, view.asked, view.answered, language))
    return notes


async def _paced(turn: AsyncGenerator[Delta | Finish, None], view: ReplyView) -> AsyncGenerator[None, None]:
    """Read the turn in a task of its own and say when to show what came: not too often, and once a second in any case."""
    news = asyncio.Event()

    async def read() -> None:
        try:
            async with aclosing(turn):
                async for part in turn:
                    view.add(part)
                    news.set()
        finally:
            news.set()

    reading = asyncio.create_task(read())
    try:
        while not reading.done():
            # Not `asyncio.wait_for`: before Python 3.12 it may swallow a cancellation.
            with suppress(TimeoutError):
                async with asyncio.timeout(PULSE_S):
                    await news.wait()
            news.clear()
            yield
            if not reading.done():
                pause_s = SHOW_EVERY_S * max(1, view.growing_chars / SHOW_EVERY_CHARS)
                await asyncio.wait({reading}, timeout=min(pause_s, PULSE_S))
        await reading
        yield
    finally:
        reading.cancel()
        with suppress(asyncio.CancelledError, HfchatError):
            await reading
