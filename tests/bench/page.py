"""A reader of the chat page: does what the page's script does when a message is sent, by the page's own API.

Which functions that are, and what goes into them, is read from the page's `/config`, as the script reads it.
"""

import json
import secrets
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any

import aiohttp
from gradio_client.utils import apply_diff

from tests.bench.load import next_number
from tests.bench.replies import Shape, is_whole

_QUESTION = "#{}# Why is the sky blue?"


@dataclass
class ReplyView:
    """What a reader saw: when the first word came, and the server's processor time as the reply grew."""

    first_s: float = 0.0
    total_s: float = 0.0
    events: int = 0
    whole: bool = False
    # (chunks shown so far, processor time in seconds), from before the first to the last
    cost: list[tuple[int, float]] = field(default_factory=list)


class Reader:
    """One session of one signed-in person, in the page at `url`."""

    def __init__(self, session: aiohttp.ClientSession, url: str, bearer: str) -> None:
        self._session = session
        self._url = f"{url}/gradio_api"
        self._config_url = f"{url}/config"
        self._headers = {"Authorization": f"Bearer {bearer}"}
        self._hash = secrets.token_hex(6)

    async def open(self) -> None:
        """Load the page."""
        async with self._session.get(self._config_url, headers=self._headers) as answer:
            config = await answer.json()
        self._kinds = {part["id"]: part["type"] for part in config["components"]}
        self._values = {part["id"]: part["props"].get("value") for part in config["components"]}
        functions = [function for function in config["dependencies"] if function["backend_fn"]]
        submits = [[number, "submit"] for number, kind in self._kinds.items() if kind == "textbox"]
        chains = (_chain(functions, f) for f in functions if any(submit in f["targets"] for submit in submits))
        self._before = next(chain for chain in chains if chain[-1]["types"]["generator"])
        self._box = next(number for number, event in self._before[0]["targets"] if event == "submit")
        self._streaming = self._before.pop()
        following = _next(functions, self._streaming)
        self._after = [following] if following and not following["queue"] else []

    async def remember(self, history: list[dict[str, Any]]) -> None:
        """Have had this conversation already."""
        self._chat = history
        for function in self._after:
            await self._call(function, "")

    async def ask(self, shape: Shape, cpu_s: Callable[[], float]) -> ReplyView:
        """Send a message and read its reply to the end."""
        number = next_number()
        shown, text = ReplyView(), ""
        message = _QUESTION.format(number.decode())
        began = time.monotonic()
        shown.cost.append((0, cpu_s()))
        for function in self._before:
            await self._call(function, message)
        place = self._streaming["outputs"].index(self._chatbot())
        current: Any = None
        async for event in self._queued(self._streaming, message):
            output = event["output"]["data"]
            if event["msg"] == "process_generating" and current is not None:
                current = [apply_diff(old, diff) for old, diff in zip(current, output, strict=True)]
            elif output:
                current = output
            text = _text(current[place][-1]) if current and current[place] else ""
            if not text.startswith(number.decode()):
                continue
            shown.events += 1
            shown.first_s = shown.first_s or time.monotonic() - began
            shown.cost.append((text.count("@"), cpu_s()))
        shown.total_s = time.monotonic() - began
        shown.whole = is_whole(text.encode(), number, shape)
        return shown

    def _chatbot(self) -> int:
        found: int = next(number for number, kind in self._kinds.items() if kind == "chatbot")
        return found

    def _data(self, function: dict[str, Any], message: str) -> list[Any]:
        values = {**self._values, self._box: message, self._chatbot(): self._chat}
        return [None if self._kinds[number] == "state" else values[number] for number in function["inputs"]]

    async def _call(self, function: dict[str, Any], message: str) -> None:
        async with self._post("run/predict", function, message) as answer:
            said = await answer.json()
            if answer.status != 200:
                raise RuntimeError(f"the page answered {answer.status}: {said}")
        for number, value in zip(function["outputs"], said["data"], strict=True):
            if self._kinds[number] == "chatbot" and isinstance(value, list):  # else it stays as it is
                self._chat = value

    async def _queued(self, function: dict[str, Any], message: str) -> AsyncIterator[dict[str, Any]]:
        async with self._post("queue/join", function, message) as answer:
            if answer.status != 200:
                raise RuntimeError(f"the page answered {answer.status}: {await answer.text()}")
        url = f"{self._url}/queue/data?session_hash={self._hash}"
        async with self._session.get(url, headers=self._headers) as events:
            async for line in events.content:
                if not line.startswith(b"data: "):
                    continue
                event = json.loads(line[6:])
                if event["msg"] in ("process_generating", "process_completed"):
                    if not event["success"]:
                        raise RuntimeError(f"the page failed: {event}")
                    yield event
                if event["msg"] == "process_completed":
                    return

    def _post(self, path: str, function: dict[str, Any], message: str) -> Any:
        body = {
            "data": self._data(function, message),
            "fn_index": function["id"],
            "session_hash": self._hash,
            "trigger_id": None,
            "event_data": None,
        }
        return self._session.post(f"{self._url}/{path}", json=body, headers=self._headers)


def _chain(functions: list[dict[str, Any]], first: dict[str, Any]) -> list[dict[str, Any]]:
    """The functions that run one after another from this one to the one that streams, or to the last."""
    chain = [first]
    while not chain[-1]["types"]["generator"] and (following := _next(functions, chain[-1])):
        chain.append(following)
    return chain


def _next(functions: list[dict[str, Any]], after: dict[str, Any]) -> Any:
    return next((f for f in functions if f["trigger_after"] == after["id"]), None)


def _text(message: dict[str, Any]) -> str:
    content = message["content"]
    if isinstance(content, str):
        return content
    return "".join(part.get("text", "") for part in content)


def long_talk(messages: int) -> list[dict[str, Any]]:
    """A conversation of so many messages, as the page has it."""
    return [
        {
            "role": "assistant" if position % 2 else "user",
            "content": [{"type": "text", "text": f"Turn {position} of a long talk. " + "So it goes. " * 10}],
            "metadata": None,
            "options": None,
        }
        for position in range(messages)
    ]


async def read_reply(url: str, bearer: str, shape: Shape, cpu_s: Callable[[], float], history: int) -> ReplyView:
    """A new reader asks once, after a conversation of so many messages."""
    async with aiohttp.ClientSession(read_bufsize=2**22) as session:
        reader = Reader(session, url, bearer)
        await reader.open()
        await reader.remember(long_talk(history))
        return await reader.ask(shape, cpu_s)
