"""LiteLLM as a library."""

import json
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import litellm
from story import PARAMETERS, SCHEMA, set_quota

litellm.suppress_debug_info = True


class Client:
    retries = True
    forms = True

    def __init__(self, base_url: str, token: str, model: str, retries: int = 0) -> None:
        self._made: dict[str, Any] = {
            "api_base": base_url,
            "api_key": token,
            "model": f"openai/{model}",
            "max_retries": retries,
        }

    def say(self, messages: list[Any], max_tokens: int = 8) -> str:
        completion = litellm.completion(messages=messages, max_tokens=max_tokens, **self._made)
        return str(completion.choices[0].message.content)

    def stream(self, messages: list[Any], max_tokens: int = 8) -> Iterator[str]:
        parts = litellm.completion(messages=messages, max_tokens=max_tokens, stream=True, **self._made)
        with closing(parts):  # left to the garbage collector, it goes on for a while
            for part in parts:
                if part.choices[0].delta.content:
                    yield part.choices[0].delta.content

    def weather(self, messages: list[Any]) -> dict[str, Any]:
        tools = [{"type": "function", "function": {"name": "weather", "parameters": PARAMETERS}}]
        parts = list(litellm.completion(messages=messages, tools=tools, stream=True, **self._made))
        message = litellm.stream_chunk_builder(parts, messages=messages).choices[0].message
        (call,) = message.tool_calls
        answered = {"role": "tool", "tool_call_id": call.id, "content": "sunny"}
        return {"asked": json.loads(call.function.arguments), "said": self.say([*messages, message, answered])}

    def minutes(self, messages: list[Any]) -> int:
        form = {"type": "json_schema", "json_schema": {"name": "Recipe", "schema": SCHEMA, "strict": True}}
        completion = litellm.completion(messages=messages, response_format=form, temperature=0, **self._made)
        return int(json.loads(completion.choices[0].message.content)["minutes"])


set_quota(Client)
