"""Ratings of replies (like, dislike): each is a line `rated` in the log, with the turn, and never what was written.

Which turn gave which reply is known for as long as a visitor's page is open, and of so many only.
"""

import logging
from collections import OrderedDict
from dataclasses import dataclass

import gradio as gr

from hfchat.logs import log_event
from hfchat.page.visitor import visitor_of

logger = logging.getLogger(__name__)

MAX_PAGES = 2000
MAX_REPLIES = 200
# Of one reply: nobody changes their mind more often.
MAX_CHANGES = 20


@dataclass(slots=True)
class _Reply:
    request_id: str | None = None
    model: str = ""
    rating: str | None = None
    changes: int = 0


class Ratings:
    """The replies of the pages that are open. A page is its `session_hash`, a reply its place in the conversation."""

    def __init__(self) -> None:
        self._pages: OrderedDict[str, dict[int, _Reply]] = OrderedDict()

    def answered(self, page: str | None, place: int, request_id: str, model: str) -> None:
        """The reply that begins at this place of the page's conversation is this turn's."""
        self._put(page, place, _Reply(request_id, model))

    def forget(self, page: str | None) -> None:
        """The page shows another conversation from here on."""
        self._pages.pop(page or "", None)

    def rate(self, event: gr.EventData, request: gr.Request) -> None:
        """What Gradio calls when a thumb is pressed: of the event only the place and the rating are read."""
        sent = event._data or {}
        place, liked = sent.get("index"), sent.get("liked")
        if not isinstance(place, int):
            return
        reply = self._pages.get(request.session_hash or "", {}).get(place)
        if reply is None:
            # The browser keeps what was pressed before the page was loaded anew, or another conversation shown.
            self._put(request.session_hash, place, reply := _Reply(rating=_rating(sent.get("previous_value"))))
        rating = _rating(liked)
        if rating == reply.rating or reply.changes == MAX_CHANGES:
            return
        before, reply.rating = reply.rating, rating
        reply.changes += 1
        caller = visitor_of(request).caller
        log_event(
            logger,
            logging.INFO,
            "rated",
            request_id=reply.request_id,
            subject=caller.subject,
            jti=caller.token_id,
            model=reply.model,
            rating=rating or "withdrawn",
            instead_of=before,
        )

    def _put(self, page: str | None, place: int, reply: _Reply) -> None:
        replies = self._pages.setdefault(page or "", {})
        self._pages.move_to_end(page or "")
        if len(self._pages) > MAX_PAGES:
            self._pages.popitem(last=False)
        replies.pop(place, None)
        replies[place] = reply
        if len(replies) > MAX_REPLIES:
            del replies[next(iter(replies))]


def _rating(liked: object) -> str | None:
    return {True: "liked", False: "disliked"}[liked] if isinstance(liked, bool) else None
