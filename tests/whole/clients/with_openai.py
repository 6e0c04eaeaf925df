"""The package `openai`."""

import json
from collections.abc import Iterator
from typing import Any

import openai
from pydantic import BaseModel, Field
from story import PARAMETERS, tell


class Recipe(BaseModel):
    minutes: int = Field(ge=1, le=9)


class Client:
    retries = True
    forms = True

    def __init__(self, base_url: str, token: str, model: str, retries: int = 0) -> None:
        self._api = openai.OpenAI(base_url=base_url, api_key=token, max_retries=retries)
        self._model = model

    def say(self, messages: list[Any], max_tokens: int = 8) -> str:
        said = self._api.chat.completions.create(model=self._model, messages=messages, max_tokens=max_tokens)
        return said.choices[0].message.content or ""

    def stream(self, messages: list[Any], max_tokens: int = 8) -> Iterator[str]:
        with self._api.chat.completions.create(
            model=self._model, messages=messages, max_tokens=max_tokens, stream=True
        ) as parts:
            for part in parts:
                if part.choices and part.choices[0].delta.content:
                    yield part.choices[0].delta.content

    def weather(self, messages: list[Any]) -> dict[str, Any]:
        function = {"name": "weather", "parameters": PARAMETERS}
        tools: list[Any] = [{"type": "function", "function": function}]
        with self._api.chat.completions.stream(model=self._model, messages=messages, tools=tools) as stream:
            message = stream.get_final_completion().choices[0].message
        (call,) = message.tool_calls or []
        answered = {"role": "tool", "tool_call_id": call.id, "content": "sunny"}
        after = [*messages, message.model_dump(exclude_none=True, exclude={"parsed"}), answered]
        return {"asked": json.loads(call.function.arguments), "said": self.say(after)}

    def minutes(self, messages: list[Any]) -> int:
        said = self._api.chat.completions.parse(
            model=self._model, messages=messages, response_format=Recipe, temperature=0
        )
        assert said.choices[0].message.parsed
        return said.choices[0].message.parsed.minutes


tell(Client)
