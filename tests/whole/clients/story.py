"""What a program does with hfchat through a client, the same for each: it chats, fails, waits, leaves, and tells of it."""

import json
import sys
import time
from collections.abc import Callable, Iterator
from functools import cache, partial
from typing import Any, Protocol

QUESTIONS = ("Once upon a time", "And then", "The end")
SCHEMA = {
    "type": "object",
    "properties": {"minutes": {"type": "integer", "minimum": 1, "maximum": 9}},
    "required": ["minutes"],
    "additionalProperties": False,
}
PARAMETERS = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}


class Client(Protocol):
    """A client as its users make it: for an address, a token and a model. `retries` is how often it may try again."""

    retries: bool
    forms: bool

    def __init__(self, base_url: str, token: str, model: str, retries: int = 0) -> None: ...

    def say(self, messages: list[Any], max_tokens: int = 8) -> str:
        """The whole reply."""
        ...

    def stream(self, messages: list[Any], max_tokens: int = 8) -> Iterator[str]:
        """The reply in pieces. Closing it is leaving."""
        ...

    def weather(self, messages: list[Any]) -> dict[str, Any]:
        """What the model asked the tool for, and what it said when it had been told."""
        ...

    def minutes(self, messages: list[Any]) -> int:
        """The number in an answer that has a form."""
        ...


def user(text: str) -> dict[str, str]:
    return {"role": "user", "content": text}


def conversation(client: Client) -> dict[str, Any]:
    """Three turns, the second streamed; each knows those before."""
    messages = [user(QUESTIONS[0])]
    messages += [{"role": "assistant", "content": client.say(messages)}, user(QUESTIONS[1])]
    pieces = list(client.stream(messages))
    messages += [{"role": "assistant", "content": "".join(pieces)}, user(QUESTIONS[2])]
    return {"first": messages[1]["content"], "pieces": pieces, "last": client.say(messages)}


def failure(call: Callable[[], object]) -> dict[str, Any]:
    """What the client raises."""
    try:
        call()
    except Exception as raised:
        response = getattr(raised, "response", None)
        status = getattr(raised, "status_code", None) or getattr(response, "status_code", None)
        return {"class": type(raised).__name__, "status": status, "text": str(raised)}
    return {"class": "none", "status": None, "text": ""}


def cut(client: Client) -> dict[str, Any]:
    """A reply that breaks off."""
    heard: list[str] = []
    return {"raised": failure(lambda: heard.extend(client.stream([user("cut")]))), "heard": heard}


def leave(client: Client) -> dict[str, Any]:
    """Go away after the first piece of a reply that does not end; is anything still going on at the provider's?"""
    stream = client.stream([user("forever")])
    first = next(stream)
    stream.close()  # type: ignore[attr-defined]
    until = time.monotonic() + 10
    while (alone := client.say([user("alone")]).strip()) != "yes" and time.monotonic() < until:
        time.sleep(0.05)
    return {"first": first, "alone": alone}


def tell(kind: type[Client]) -> None:
    """Do all of it and print what came of it."""
    make = cache(kind)
    plan = json.loads(sys.argv[1])
    stub, model, token, name = plan["stub"], plan["model"], plan["token"], plan["name"]
    here = make(stub, token, name)
    ways: dict[str, Callable[..., object]] = {
        "failures": lambda client, *asked: client.say(*asked),
        "streamed failures": lambda client, *asked: list(client.stream(*asked)),
    }
    told: dict[str, Any] = {
        "stub": conversation(here),
        "cut": cut(here),
        "left": leave(here),
        "weather": here.weather([user("weather")]),
        "model": conversation(make(model, token, "gemma")),
    }
    for way, ask in ways.items():
        told[way] = {}
        for case, asked in plan["failures"].items():
            call = partial(ask, make(stub, asked["token"], name), [user(asked["says"])], asked["max_tokens"])
            told[way][case] = failure(call)
    if kind.forms:
        told["minutes"] = here.minutes([user("minutes")])
        told["minutes of the model"] = make(model, token, "gemma").minutes([user('{"minutes": 4}')])
    if kind.retries:
        told["busy"] = make(stub, token, name, retries=2).say([user("busy")])
    print(json.dumps(told))
