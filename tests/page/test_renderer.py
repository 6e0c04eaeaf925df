"""Gradio's renderer of messages is sent with our rules in it, under an address of its own, or nothing starts."""

import json
import re

import pytest

from hfchat.page import renderer
from hfchat.page.renderer import import_map, renderer_scripts
from tests.conftest import RunningApp
from tests.support.raw_client import ask, cookie


def test_each_script_calls_ours() -> None:
    (renderer, message) = renderer_scripts().values()
    for call in (
        b"replies.parser(",
        b"formulas.withoutFormulas(",
        b"formulas.typeset(",
        b"diagrams.draw(",
        b"fences.withSpaces(",
    ):
        assert b"window.hfchat." + call in renderer
    for call in (b"replies.text(", b"replies.copied("):
        assert b"window.hfchat." + call in message


def test_another_gradio_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(RuntimeError, match="not the Gradio that is known here"):
        renderer._with_calls("other words", {"words of Gradio's": "ours"})
    renderer_scripts.cache_clear()
    monkeypatch.setattr(renderer, "_MESSAGE", {"words of Gradio's": "ours"})
    with pytest.raises(RuntimeError, match="is 0 scripts"):
        renderer_scripts()
    renderer_scripts.cache_clear()


def test_the_page_loads_them_from_addresses_of_their_own(offline_app: RunningApp) -> None:
    page = ask(offline_app, "GET", "/", cookie()).body.decode()
    match = re.search(r'<script nonce="[\w-]{22}" type="importmap">(.*?)</script>', page)
    assert match
    assert match[1] == import_map()
    for before, after in json.loads(match[1])["imports"].items():
        assert re.fullmatch(re.escape(before) + r"\?v=[0-9a-f]{8}", after)
        name = before.removeprefix("./assets/")
        # What an address without the digest gives is no other: a browser that knows no import maps asks for it.
        for path in (before, after):
            answer = ask(offline_app, "GET", path.removeprefix("."), {**cookie(), "Range": "bytes=0-9"})
            assert (answer.status, answer.body) == (200, renderer_scripts()[name])
            assert answer.headers["Content-Type"].startswith("application/javascript")
