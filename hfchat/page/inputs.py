"""Inputs of a turn beside the question: model, provider and settings, validated as the API does."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from hfchat.errors import InvalidRequest
from hfchat.http.validation import ChatParameters, parse
from hfchat.page.model_picker import named
from hfchat.types import ChatRequest, Message, Policy

MAX_SYSTEM_CHARS = 20_000


@dataclass(frozen=True, slots=True)
class ChatInputs:
    """As they come from the page, where anybody can forge them: nothing is believed of their types."""

    model: Any = None
    provider: Any = None
    system_prompt: Any = None
    temperature: Any = None
    top_p: Any = None
    max_tokens: Any = None

    def request(self, messages: Sequence[Message], policy: Policy) -> ChatRequest:
        """What the core is asked. Raises: InvalidRequest, as the API does."""
        numbers = {"temperature": self.temperature, "top_p": self.top_p, "max_tokens": self.max_tokens}
        on_quota = isinstance(self.model, str) and isinstance(self.provider, str)
        model = named(self.model, self.provider) if on_quota else self.model
        parameters = {"model": model or None, **numbers}
        body = parse(ChatParameters, json.dumps(parameters, default=str).encode())
        prompt = "" if self.system_prompt is None else self.system_prompt
        if not isinstance(prompt, str):
            raise InvalidRequest("text", param="system_prompt")
        if len(prompt) > MAX_SYSTEM_CHARS:
            raise InvalidRequest("too_long", params={"value": MAX_SYSTEM_CHARS}, param="system_prompt")
        system = (Message("system", prompt),) if prompt.strip() else ()
        # Who chose nothing has named nothing: what is wrong with the owner's default is the owner's fault.
        model_id = None if body.model == policy.default_model else body.model
        return ChatRequest((*system, *messages), model_id, body.max_tokens, body.temperature, body.top_p)
