"""Each client that speaks OpenAI's form, in a program of its own, against the running program over a stub and a real model."""

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from hfchat.auth.policy import read_policy
from tests.conftest import KEY, in_ci, make_token
from tests.support.process import forked
from tests.support.real_model import real_model
from tests.support.stub_upstream import DONE, Answer, StubUpstream, reply, usage_event
from tests.whole.test_openai_clients import NO_PROVIDER, chunk, refused, whole

FOLDER = Path(__file__).parent / "clients"
LIMITS = {
    "HFCHAT_RATE": "1000000/minute",
    "HFCHAT_BUDGET": "1000000000/day",
    "HFCHAT_STREAMS": "1000",
    "HFCHAT_PATIENCE_S": "0",
}
# Whatever would go past loopback meets a closed door at once; the rest keeps each from looking for news of its own.
ENVIRONMENT = {
    **{name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ},
    **dict.fromkeys(("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"), "http://127.0.0.1:9"),
    "NO_PROXY": "127.0.0.1",
    "LITELLM_LOCAL_MODEL_COST_MAP": "True",
    "LITELLM_MODE": "PRODUCTION",
    "LANGSMITH_TRACING": "false",
    "HF_HUB_DISABLE_TELEMETRY": "1",
}


class Speaker:
    """What the stub says, by the last message."""

    def __init__(self) -> None:
        self.stub = StubUpstream(self)
        self.busy: dict[str, list[float]] = {}

    def __call__(self, request: dict[str, Any]) -> Answer:
        if "messages" not in request:
            return refused(404, "no list")
        said, name = request["messages"][-1]["content"], request["model"]
        if said == "busy":
            times = self.busy.setdefault(name, [])
            times.append(time.monotonic())
            if len(times) == 1:
                return Answer(429, "application/json", headers={"retry-after": "1"}, pieces=[b"{}"])
        special = SPECIAL.get(said)
        if special is not None:
            return special(request)
        text = f"you said {said}"
        if said == "alone":
            text = "yes" if self.stub.in_progress == 0 else "no"
        return reply([f"{word} " for word in text.split()]) if request["stream"] else whole({"content": text})


def weather(request: dict[str, Any]) -> Answer:
    """A call of the tool, in pieces where it is streamed."""
    call = {"id": "call_1", "type": "function", "function": {"name": "weather", "arguments": '{"city": "Paris"}'}}
    if not request["stream"]:
        return whole({"content": None, "tool_calls": [call]})
    begun = {"index": 0, **call, "function": {"name": "weather", "arguments": ""}}
    pieces = [chunk({"role": "assistant", "content": None, "tool_calls": [begun]})]
    pieces += [
        chunk({"tool_calls": [{"index": 0, "function": {"arguments": text}}]}) for text in ('{"city"', ': "Paris"}')
    ]
    return Answer(pieces=[*pieces, chunk({}, "tool_calls"), usage_event(20, 9), DONE])


SPECIAL: dict[str, Callable[[dict[str, Any]], Answer]] = {
    "weather": weather,
    "minutes": lambda _: whole({"content": '{"minutes": 7}'}),
    "loading": lambda _: refused(503, "Model m is currently loading"),
    "no provider": lambda _: refused(400, NO_PROVIDER),
    "too often": lambda _: refused(429, "slow down"),
    "too long": lambda _: refused(400, "This model's maximum context length is 10 tokens."),
    "cut": lambda _: Answer(pieces=[chunk({"content": "a "}), chunk({"content": "b "})], pause_s=0.2, ending="cut"),
    "forever": lambda _: Answer(pieces=[chunk({"content": "a "})], ending="hang"),
}

FAILURES: dict[str, dict[str, Any]] = {
    "a bad token": {"token": "x.y.z"},
    "another's model": {"policy": {"models": ["own/other"]}},
    "too little left": {"policy": {"budget": "10/day"}},
    "a wrong form": {"max_tokens": 0},
    "too often": {"says": "too often"},
    "loading": {"says": "loading"},
    "no provider": {"says": "no provider"},
    "too long": {"says": "too long"},
}


def python(script: str) -> list[str]:
    return [sys.executable, str(FOLDER / script)]


def node(script: str) -> list[str]:
    """Node with what package-lock.json names, installed beside the script where it is not yet."""
    lock, installed = FOLDER / "package-lock.json", FOLDER / "node_modules" / ".package-lock.json"
    if shutil.which("npm") is None and not in_ci():
        pytest.skip("npm is not installed (Debian: apt-get install nodejs npm)")
    if not installed.exists() or installed.stat().st_mtime < lock.stat().st_mtime:
        command = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--no-update-notifier"]
        subprocess.run(command, cwd=FOLDER, check=True, capture_output=True, timeout=300)
    return ["node", str(FOLDER / script)]


CLIENTS = {
    "openai": lambda: python("with_openai.py"),
    "npm-openai": lambda: node("with_openai.mjs"),
    "huggingface_hub": lambda: python("with_hub.py"),
    "langchain-openai": lambda: python("with_langchain.py"),
    "litellm": lambda: python("with_litellm.py"),
}


class Program:
    """The two programs that all clients talk to, and what was said to the stub."""

    def __init__(self, speaker: Speaker, stub: str, model: str) -> None:
        self.speaker = speaker
        self._urls = {"stub": f"{stub}/v1", "model": f"{model}/v1"}

    def told(self, client: str) -> dict[str, Any]:
        """What a client told of its story."""
        plan = {**self._urls, "token": make_token("clients"), "name": f"own/{client}"}
        plan["failures"] = {
            case: {
                "says": asked.get("says", "hello"),
                "max_tokens": asked.get("max_tokens", 8),
                "token": asked.get("token") or make_token("failing", policy=read_policy(asked.get("policy", {}))),
            }
            for case, asked in FAILURES.items()
        }
        run = subprocess.run(
            [*CLIENTS[client](), json.dumps(plan)],
            env=ENVIRONMENT,
            check=False,
            capture_output=True,
            text=True,
            timeout=240,
        )
        assert run.returncode == 0, run.stderr
        return {**json.loads(run.stdout), "name": plan["name"]}


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Program]:
    speaker = Speaker()
    with speaker.stub as stub, real_model(tmp_path_factory.mktemp("model")) as model:
        upstreams = ({"HF_CHAT_BASE_URL": stub.base_url, "HF_CHAT_MODELS": "*"},)
        upstreams += ({"HF_CHAT_BASE_URL": model, "HF_CHAT_MODEL": "gemma", "HF_CHAT_MAX_TOKENS": "256"},)
        with ExitStack() as running:
            urls = [
                running.enter_context(forked(tmp_path_factory.mktemp("run"), JWT_SECRET=KEY, **LIMITS, **variables))
                for variables in upstreams
            ]
            yield Program(speaker, *(process.listening().url for process in urls))


@pytest.fixture(scope="module", params=CLIENTS)
def told(program: Program, request: pytest.FixtureRequest) -> dict[str, Any]:
    return program.told(request.param)


def sent_by(program: Program, told: dict[str, Any]) -> list[dict[str, Any]]:
    return [request for request in program.speaker.stub.requests if request.get("model") == told["name"]]


def test_a_conversation_over_the_stub(program: Program, told: dict[str, Any]) -> None:
    first, pieces = "you said Once upon a time", ["you ", "said ", "And ", "then "]
    assert told["stub"] == {"first": first, "pieces": pieces, "last": "you said The end"}
    whole, streamed, last = sent_by(program, told)[:3]
    assert (whole["stream"], streamed["stream"], last["stream"]) == (False, True, False)
    said = [(message["role"], message["content"]) for message in last["messages"]]
    assert said == [
        ("user", "Once upon a time"),
        ("assistant", first),
        ("user", "And then"),
        ("assistant", "".join(pieces)),
        ("user", "The end"),
    ]


def test_a_conversation_over_a_model(told: dict[str, Any]) -> None:
    assert told["model"]["first"].strip()
    assert len(told["model"]["pieces"]) > 2
    assert told["model"]["last"].strip()


def test_a_tool_is_called_and_its_answer_is_heard(told: dict[str, Any]) -> None:
    assert told["weather"] == {"asked": {"city": "Paris"}, "said": "you said sunny"}


def test_an_answer_has_the_form_that_was_asked_for(program: Program, told: dict[str, Any]) -> None:
    if "minutes" not in told:
        assert told["name"] == "own/huggingface_hub"
        return
    assert told["minutes"] == 7
    assert 1 <= told["minutes of the model"] <= 9
    (asked,) = [request for request in sent_by(program, told) if request["messages"][-1]["content"] == "minutes"]
    form = asked["response_format"]
    assert form["type"] == "json_schema"
    assert form["json_schema"]["schema"]["properties"]["minutes"]["maximum"] == 9


CASES = (
    "a bad token",
    "another's model",
    "too little left",
    "a wrong form",
    "too often",
    "loading",
    "no provider",
    "too long",
)
STATUSES = (401, 403, 429, 400, 429, 503, 400, 400)
OWN = (
    *("AuthenticationError", "PermissionDeniedError", "RateLimitError", "BadRequestError", "RateLimitError"),
    *("InternalServerError", "BadRequestError", "BadRequestError"),
)
KINDS = {
    "own/openai": OWN,
    "own/npm-openai": OWN,
    "own/huggingface_hub": (
        *("HfHubHTTPError", "HfHubHTTPError", "HfHubHTTPError", "BadRequestError", "HfHubHTTPError"),
        *("HfHubHTTPError", "BadRequestError", "BadRequestError"),
    ),
    "own/langchain-openai": (
        *("OpenAIAuthenticationError", "OpenAIPermissionDeniedError", "OpenAIRateLimitError"),
        *("OpenAIInvalidRequestError", "OpenAIRateLimitError", "OpenAIAPIError", "OpenAIInvalidRequestError"),
        "OpenAIContextOverflowError",
    ),
    "own/litellm": (
        *("AuthenticationError", "APIError", "RateLimitError", "BadRequestError", "RateLimitError"),
        *("ServiceUnavailableError", "BadRequestError", "ContextWindowExceededError"),
    ),
}


@pytest.mark.parametrize("way", ["failures", "streamed failures"])
def test_a_failure_is_the_clients_own_exception_with_our_words(told: dict[str, Any], way: str) -> None:
    raised = told[way]
    assert tuple(raised) == CASES
    assert tuple(failure["status"] for failure in raised.values()) == STATUSES
    assert tuple(failure["class"] for failure in raised.values()) == KINDS[told["name"]]
    assert "This token is not valid here" in raised["a bad token"]["text"]
    assert "is still loading" in raised["loading"]["text"]


def test_a_reply_that_breaks_off_is_a_failure_after_what_came(told: dict[str, Any]) -> None:
    assert told["cut"]["heard"] == ["a ", "b "]
    assert "The reply was cut off before its end" in told["cut"]["raised"]["text"]


def test_a_client_that_leaves_ends_the_providers_work(told: dict[str, Any]) -> None:
    assert told["left"] == {"first": "a ", "alone": "yes"}


def test_a_client_waits_as_long_as_it_is_told_before_it_tries_again(program: Program, told: dict[str, Any]) -> None:
    times = program.speaker.busy.get(told["name"], [])
    if "busy" not in told:
        assert told["name"] == "own/huggingface_hub"
        return
    first, second = times
    assert told["busy"] == "you said busy"
    assert second - first >= 1


def test_the_lock_file_names_no_host() -> None:
    lock = json.loads((FOLDER / "package-lock.json").read_text("utf-8"))
    assert all("integrity" in package for name, package in lock["packages"].items() if name)
    assert not any("resolved" in package for package in lock["packages"].values())
