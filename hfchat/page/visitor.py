"""Visitor: the authenticated caller of an event of the page."""

from typing import NamedTuple

import gradio as gr

from hfchat.i18n.language import Language, language_of
from hfchat.ledger.meters import Principal
from hfchat.ledger.quota import Quota
from hfchat.types import Caller


class Visitor(NamedTuple):
    """Who they are, what they have left, and the language that they read."""

    caller: Caller
    quota: Quota
    language: Language

    @property
    def person(self) -> str:
        """The key of the person, whatever token they come with."""
        return Principal.of(self.caller).key


def visitor_of(request: gr.Request) -> Visitor:
    """The visitor who sent this request, which has passed the gate."""
    state = request.request.state
    return Visitor(state.caller, state.quota, language_of(request.headers.get("accept-language", "")))
