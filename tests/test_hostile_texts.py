"""No text of a stranger or a provider takes more than linear time: every regular expression, and every scanner, by doubling.

Four times the text may take up to ten times as long: noise is allowed for, a square (sixteen times) is not.
"""

import ast
import asyncio
import dataclasses
import gc
import importlib
import pkgutil
import re
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import orjson
import pytest

import hfchat
from hfchat import errors, limits
from hfchat.api.idempotency import key_of
from hfchat.api.openai_body import read_completion
from hfchat.auth import revocation
from hfchat.auth.own_tokens import unverified
from hfchat.auth.policy import read_policy
from hfchat.chat import token_count
from hfchat.chat.turn_log import _quotes
from hfchat.http import error_response, media
from hfchat.http.body import content_length
from hfchat.http.content_security_policy import small_page_policy
from hfchat.http.json_bounds import check_json
from hfchat.http.session_cookie import SessionCookie
from hfchat.i18n.language import language_of
from hfchat.page import history, notices, pictures
from hfchat.page.incomplete_markdown import without_half_mark
from hfchat.page.markdown_splitter import MarkdownSplitter
from hfchat.types import Call, Message
from hfchat.upstream import failure_text
from hfchat.upstream.chunks import Frame
from hfchat.upstream.model_list import read_models
from hfchat.upstream.reply import Reply
from hfchat.upstream.request_body import call_body
from hfchat.upstream.sse import SSEDecoder
from hfchat.upstream.translate import Refusal, translate
from tests.support.hostile_patterns import hostile_texts, text_of
from tests.support.rows import each_row

MOST_TIMES = 10
SMALL, LARGE = 512, 2048
# So short a run tells nothing, and at these sizes a square takes longer.
TELLING_S = 0.0005
# What these read comes from nobody but the owner, or from this program itself.
TRUSTED = ("hfchat.config.addresses", "hfchat.config.validators", "hfchat.api.docs", "hfchat.page.document")


def in_modules() -> Iterator[tuple[str, Any, Path]]:
    for found in pkgutil.walk_packages(hfchat.__path__, "hfchat."):
        if not found.name.endswith("__main__"):
            module = importlib.import_module(found.name)
            yield found.name, module, Path(str(module.__file__))


def patterns_in(value: object, name: str, depth: int = 0) -> Iterator[tuple[str, "re.Pattern[Any]"]]:
    """Those that a value holds, also in tables, at any depth that a table has."""
    if isinstance(value, re.Pattern):
        yield name, value
    elif depth > 6 or isinstance(value, type):
        return
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield from patterns_in(key, name, depth + 1)
            yield from patterns_in(inner, f"{name}[{key!r:.40}]", depth + 1)
    elif isinstance(value, list | tuple | set | frozenset):
        for place, inner in enumerate(value):
            yield from patterns_in(inner, f"{name}[{place}]", depth + 1)
    elif dataclasses.is_dataclass(value):
        for field in dataclasses.fields(value):
            yield from patterns_in(getattr(value, field.name, None), f"{name}.{field.name}", depth + 1)


def written_in_calls(tree: ast.Module, module: str) -> Iterator[tuple[str, "re.Pattern[Any]"]]:
    """Those that stand in a call: `re.sub(r"...", ...)`."""
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call) or not node.args or not isinstance(node.args[0], ast.Constant):
            continue
        called = node.func
        # What is compiled has a name.
        if isinstance(called, ast.Attribute) and ast.unparse(called.value) == "re" and called.attr != "compile":
            yield f"{module}, line {node.lineno}", re.compile(node.args[0].value)


def all_patterns() -> dict[str, tuple["re.Pattern[Any]", bool]]:
    """All of the package, and whether each is used to search: what only matches from the beginning is tried only there."""
    named: dict[str, re.Pattern[Any]] = {}
    seen: set[tuple[Any, int]] = set()
    uses: dict[str, set[str]] = {}
    for module, loaded, path in in_modules():
        tree = ast.parse(path.read_text())
        for node in ast.walk(tree):
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
                uses.setdefault(node.value.id, set()).add(node.attr)
        found = [pair for name, value in vars(loaded).items() for pair in patterns_in(value, f"{module}.{name}")]
        for name, pattern in [*found, *written_in_calls(tree, module)]:
            if (pattern.pattern, pattern.flags) not in seen and not module.startswith(TRUSTED):
                seen.add((pattern.pattern, pattern.flags))
                named[name] = pattern
    only_whole = {name for name, methods in uses.items() if methods <= {"fullmatch", "match", "pattern"}}
    return {name: (pattern, name.rpartition(".")[2] not in only_whole) for name, pattern in named.items()}


PATTERNS = all_patterns()


def took_s(run: Callable[[], object], times: int = 1) -> float:
    best = float("inf")
    for _ in range(times):
        began = time.thread_time()
        run()
        best = min(best, time.thread_time() - began)
    return best


def grows(make: Callable[[int], Callable[[], object]], small: int, large: int) -> float:
    """How many times as long the large one takes. Measured again where it looks bad: others use this machine, too."""
    times = 0.0
    for runs in (1, 3, 5, 10):
        large_s = took_s(make(large), runs)
        times = large_s / max(took_s(make(small), runs), 1e-7)
        if large_s < TELLING_S or times < MOST_TIMES:
            return 0.0
    return times


@pytest.fixture(autouse=True)
def no_collection() -> Iterator[None]:
    """What the collector of garbage takes grows with all that there is."""
    gc.disable()
    yield
    gc.enable()


def used(pattern: "re.Pattern[Any]", searches: bool, text: str) -> Callable[[], object]:
    given: Any = text.encode("latin-1", "replace") if isinstance(pattern.pattern, bytes) else text
    if searches:
        return lambda: sum(1 for _ in pattern.finditer(given))
    return lambda: (pattern.match(given), pattern.fullmatch(given))


def check_pattern(name: str) -> None:
    pattern, searches = PATTERNS[name]
    for head, unit in hostile_texts(pattern):

        def make(chars: int, head: str = head, unit: str = unit) -> Callable[[], object]:
            return used(pattern, searches, text_of(head, unit, chars))

        # By small steps first: what takes exponential time shows itself long before it takes hours.
        steps = ((12, 18), (64, 256), (SMALL, LARGE))
        for small, large in steps:
            times = grows(make, small, large)
            assert times < MOST_TIMES, f"{name}: {times:.0f} times as long for {head!r} and many {unit!r}"


@each_row("name", PATTERNS, ids=PATTERNS)
def test_a_pattern_takes_linear_time(name: str) -> None:
    check_pattern(name)


def test_the_patterns_are_found() -> None:
    assert len(PATTERNS) > 60
    assert any("failure_rules._RULES" in name for name in PATTERNS)
    assert any(", line " in name for name in PATTERNS)


@pytest.mark.parametrize("bad", [r"\w*error\w*", r"(a+)+$", r"(\s+x?)*y", r"https?://\S*\?"])
def test_what_takes_longer_is_seen(bad: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(PATTERNS, "bad", (re.compile(bad), True))
    with pytest.raises(AssertionError, match=r"bad: .* times as long"):
        check_pattern("bad")


def _nested(name: str, depth: int) -> object:
    return {name[: len(name) // 100]: _nested(name, depth - 1)} if depth else [1] * (len(name) // 100)


CALL = Call("a/b", (Message("user", "hello"),), 1_000_000)
COOKIE = SessionCookie()


def cookies(text: str) -> None:
    scope = {"type": "http", "headers": [(b"cookie", text.encode("latin-1", "replace"))]}
    COOKIE.token(scope)


def stream(piece: bytes) -> Callable[[str], None]:
    """Feed a decoder and a reply with the text in pieces like this one."""

    def read(text: str) -> None:
        decoder, reply = SSEDecoder(), Reply(CALL, {})
        for _ in range(len(text)):
            list(reply.deltas(decoder.feed(piece)))

    return read


def frames(text: str) -> None:
    frame = Frame()
    for _ in range(4):
        frame.learn(f'{{"choices":[{{"delta":{{"content":"{text}"}}}}]}}', text)
        frame.word_in(text)


def ignoring(function: Callable[[str], object]) -> Callable[[str], None]:
    def run(text: str) -> None:
        with suppress(errors.HfchatError, ValueError):
            function(text)

    return run


def written_out(value: Callable[[str], object], read: Callable[[bytes], object]) -> Callable[[str], None]:
    return ignoring(lambda text: read(orjson.dumps(value(text))))


def question(content: object) -> dict[str, object]:
    return {"messages": [{"role": "user", "content": content}]}


def split_markdown(text: str) -> None:
    splitter = MarkdownSplitter()
    for start in range(0, len(text), 4):
        splitter.add(text[start : start + 4])


SCANNERS: dict[str, Callable[[str], object]] = {
    "provider's error as text": lambda text: translate(Refusal(400, text)),
    "provider's error as JSON": lambda text: translate(Refusal(400, orjson.dumps({"error": {"message": text}}))),
    "provider's error under a key": lambda text: translate(Refusal(400, orjson.dumps({text: text}))),
    "provider's error under many keys": lambda text: translate(
        Refusal(400, orjson.dumps({f"{place}error": sign for place, sign in enumerate(text)}))
    ),
    "provider's error in a list": lambda text: translate(Refusal(400, orjson.dumps([{"detail": list(text)}]))),
    "provider's error as a page": lambda text: translate(Refusal(502, f"<html><p>{text}</p>")),
    "provider's error that wraps another": lambda text: translate(
        Refusal(400, orjson.dumps({"error": f"it said: {orjson.dumps({'error': text}).decode()}"}))
    ),
    "provider's headers": lambda text: translate(
        Refusal(429, b"", {"retry-after": text, "ratelimit": text, "x-request-id": text})
    ),
    "provider's words, cleaned": failure_text.clean,
    "provider's words, looked for in a message": lambda text: _quotes(text[:300], [text] * 3),
    "provider's list of models": lambda text: read_models({"data": [{"id": text, "providers": [{"provider": text}]}]}),
    "provider's events, byte by byte": stream(b"data: x"),
    "provider's lines that are empty": stream(b"\n"),
    "provider's lines that end in CR": stream(b"\r"),
    "provider's lines of one event": stream(b"data: x\n"),
    "provider's events": stream(b'data: {"choices":[{"delta":{"content":"x"}}]}\n\n'),
    "provider's events of tools": stream(b'data: {"choices":[{"delta":{"tool_calls":[{"function":"x"}]}}]}\n\n'),
    "frame of a chunk": frames,
    "token": ignoring(unverified),
    "token with three parts": ignoring(lambda text: unverified(f"{text[:2000]}.{text[:2000]}.{text[:2000]}")),
    "token anywhere in a text": revocation.token_in,
    "policy in a token": ignoring(lambda text: read_policy({"rate": text, "models": [text] * 100, text: 1})),
    "limit": ignoring(limits.parse_limit),
    "session cookie": ignoring(cookies),
    "languages": language_of,
    "Content-Length": ignoring(lambda text: content_length(_headers("content-length", text))),
    "Idempotency-Key": ignoring(lambda text: key_of(_headers("idempotency-key", text))),
    "picture": lambda text: media.is_picture(f"data:image/png;base64,{text}"),
    "address of a picture": lambda text: media.may_be_fetched(f"https://{text}", None),
    "page's pictures": lambda text: pictures.read_pictures(orjson.dumps({text: text}).decode()),
    "reference to a picture": lambda text: pictures.has_pictures([Message("user", text)]),
    "message as Markdown": notices._plain,
    "half a mark": lambda text: [without_half_mark(text[:end]) for end in range(0, len(text), len(text) // 16 or 1)],
    "history's id": history._ID.fullmatch,
    "words of an error": lambda text: error_response.say(
        errors.InvalidRequest(provider_message=text, param=text), "en"
    ),
    "policy of a page": lambda text: small_page_policy(text, form=True, on_space=False),
    "the most of a prompt": lambda text: token_count.max_prompt_tokens([Message("user", text)], {"tools": [text]}),
    "about what a prompt has": lambda text: token_count.estimated_prompt_tokens(
        [Message("user", text)], {"tools": [text]}
    ),
    "body sent on": lambda text: call_body(dataclasses.replace(CALL, options={text: text}), ask_usage=True),
    "number of JSON values": ignoring(lambda text: asyncio.run(check_json(text.encode(), 1))),
    "body": ignoring(lambda text: read_completion(text.encode())),
    "reply in pieces": split_markdown,
    "reply in pieces, in a block of code": lambda text: split_markdown(f"```\n{text}"),
    "body with a text": written_out(question, read_completion),
    "body with parts": written_out(
        lambda text: question([{"type": "text", "text": sign} for sign in text[::16]]), read_completion
    ),
    "body with messages": written_out(
        lambda text: {"messages": [{"role": "user", "name": sign, "content": None} for sign in text[:2000]]},
        read_completion,
    ),
    "body with a long name around many values": written_out(
        lambda text: {
            "messages": [{"role": "user", "content": None, "tool_calls": {f"{text}x" * 16: [1] * (len(text) // 4)}}]
        },
        read_completion,
    ),
    "body with a long name around many names": written_out(
        lambda text: {
            "messages": [
                {
                    "role": "user",
                    "content": None,
                    "tool_calls": {f"{text}x" * 16: {f"{i}": 1 for i in range(len(text) // 4)}},
                }
            ]
        },
        read_completion,
    ),
    "body with long names in each other": written_out(
        lambda text: question([{"type": "text", "text": "x", "annotations": _nested(text * 4, 200)}]), read_completion
    ),
    "body with an unknown field": written_out(lambda text: {text: text}, read_completion),
    "body with fields inside": written_out(lambda text: {**question("x"), "tools": [{text: 1}]}, read_completion),
}
# What scanners look for, and what an encoding makes longer.
UNITS = (
    *(
        "a",
        "é",
        "字",
        "\u0344",
        " ",
        "\n",
        "\r",
        "\t",
        "\0",
        ".",
        ",",
        ";",
        "=",
        "-",
        "/",
        "?",
        "&",
        "%",
        "#",
        "@",
        "*",
        "\\",
    ),
    *(
        '"',
        '\\"',
        "'",
        "`",
        "<",
        ">",
        "<a>",
        "{",
        "[",
        "{}",
        "[]",
        '{"a":',
        "](",
        "[🖼 ",
        "$$",
        "```",
        "<think>",
        "</think>",
    ),
    *(
        "1",
        "1,",
        "0.",
        "a=b;",
        "hfchat_session=a;",
        "en;q=0.9,",
        "https://",
        "https://a?",
        "error",
        "model ",
        "input_value=",
    ),
    *("eyJ", "eyJ.", "key: ", "org ", "token=", "retry 1", "Bearer ", "data:", "data: \n", "\ud800", "\u202e"),
)
# A quarter of it is longer than the numbers that JSON is read with (4,300 digits).
LARGE_TEXT = 20_480


@pytest.mark.whole  # it takes 13 s of processor time
@pytest.mark.parametrize("name", SCANNERS)
def test_a_scanner_takes_linear_time(name: str) -> None:
    scan = SCANNERS[name]
    for unit in UNITS if "provider's events" not in name and "lines" not in name else ("a",):
        text = unit * (LARGE_TEXT // len(unit))
        try:
            scan(text[:64])
        except (UnicodeEncodeError, orjson.JSONEncodeError):
            continue  # no JSON has it

        def make(chars: int, text: str = text) -> Callable[[], object]:
            part = text[:chars]
            return lambda: scan(part)

        times = grows(make, LARGE_TEXT // 4, LARGE_TEXT)
        assert times < MOST_TIMES, f"{name}: {times:.0f} times as long for many {unit!r}"


def _headers(name: str, value: str) -> Any:
    from starlette.datastructures import Headers

    return Headers(raw=[(name.encode(), value.encode("latin-1", "replace"))])
