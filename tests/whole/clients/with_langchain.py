"""LangChain's `ChatOpenAI`."""

from collections.abc import Iterator
from typing import Any

from langchain_core.messages import ToolMessage
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI
from pydantic import BaseModel, Field
from story import tell


class Recipe(BaseModel):
    minutes: int = Field(ge=1, le=9)


@tool
def weather(city: str) -> str:
    """The weather there."""
    return "sunny"


class Client:
    retries = True
    forms = True

    def __init__(self, base_url: str, token: str, model: str, retries: int = 0) -> None:
        self._made: dict[str, Any] = {
            "base_url": base_url,
            "api_key": token,
            "model": model,
            "max_retries": retries,
            "temperature": 0,
        }

    def _chat(self, max_tokens: int | None = None) -> ChatOpenAI:
        return ChatOpenAI(**self._made, max_tokens=max_tokens)

    def say(self, messages: list[Any], max_tokens: int = 8) -> str:
        return str(self._chat(max_tokens).invoke(messages).content)

    def stream(self, messages: list[Any], max_tokens: int = 8) -> Iterator[str]:
        for part in self._chat(max_tokens).stream(messages):
            if part.content:
                yield str(part.content)

    def weather(self, messages: list[Any]) -> dict[str, Any]:
        chat = self._chat().bind_tools([weather])
        whole: Any = None
        for part in chat.stream(messages):
            whole = part if whole is None else whole + part
        (call,) = whole.tool_calls
        answered = ToolMessage(weather.invoke(call["args"]), tool_call_id=call["id"])
        return {"asked": call["args"], "said": chat.invoke([*messages, whole, answered]).content}

    def minutes(self, messages: list[Any]) -> int:
        recipe = self._chat().with_structured_output(Recipe).invoke(messages)
        assert isinstance(recipe, Recipe)
        return recipe.minutes


tell(Client)
