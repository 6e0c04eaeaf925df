"""The hub's own client, by `base_url`."""

import json
from collections.abc import Iterator
from typing import Any

from huggingface_hub import InferenceClient
from story import PARAMETERS, tell


class Client:
    retries = False  # it has none
    forms = False  # what it is asked for it rewrites into another server's form

    def __init__(self, base_url: str, token: str, model: str, retries: int = 0) -> None:
        self._api = InferenceClient(base_url=base_url, api_key=token)
        self._model = model

    def say(self, messages: list[Any], max_tokens: int = 8) -> str:
        said = self._api.chat_completion(messages, model=self._model, max_tokens=max_tokens)
        return said.choices[0].message.content or ""

    def stream(self, messages: list[Any], max_tokens: int = 8) -> Iterator[str]:
        parts = self._api.chat_completion(messages, model=self._model, max_tokens=max_tokens, stream=True)
        for part in parts:
            if part.choices and part.choices[0].delta.content:
                yield part.choices[0].delta.content

    def weather(self, messages: list[Any]) -> dict[str, Any]:
        tools: list[Any] = [{"type": "function", "function": {"name": "weather", "parameters": PARAMETERS}}]
        message = self._api.chat_completion(messages, model=self._model, tools=tools).choices[0].message
        (call,) = message.tool_calls or []
        answered = {"role": "tool", "tool_call_id": call.id, "content": "sunny"}
        return {"asked": json.loads(call.function.arguments), "said": self.say([*messages, message, answered])}


tell(Client)
