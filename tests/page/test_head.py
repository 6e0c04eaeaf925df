"""The page's modules: served once under an address that changes with them, and tied together by imports only."""

import gzip
import json
import posixpath
import re
from graphlib import TopologicalSorter

import pytest

from hfchat.i18n.language import LANGUAGES, Language
from hfchat.page.head import SCRIPTS, constants, head
from tests.conftest import RunningApp
from tests.support.raw_client import ask, cookie
from tests.support.rows import each_row

TEXTS = {name: body.decode() for name, body in SCRIPTS.items()}
IMPORTS = {
    name: {
        posixpath.normpath(posixpath.join(posixpath.dirname(name), path))
        for path in re.findall(r'^import (?:[^"]* from )?"([^"]+)";', text, re.MULTILINE)
    }
    for name, text in TEXTS.items()
}


def preloads(app: RunningApp) -> list[str]:
    page = ask(app, "GET", "/", cookie()).body.decode()
    return re.findall(r'<link rel="modulepreload" fetchpriority="low" href="\.([^"]+)">', page)


def test_each_module_is_served_once_and_for_good(offline_app: RunningApp) -> None:
    paths = preloads(offline_app)
    assert [path.split("/", 3)[3] for path in paths] == list(SCRIPTS)
    for path, body in zip(paths, SCRIPTS.values(), strict=True):
        plain = ask(offline_app, "GET", path, cookie())
        assert (plain.status, plain.body) == (200, body)
        assert plain.headers["Content-Type"].startswith("text/javascript")
        assert plain.headers["Cache-Control"] == "private, max-age=31536000, immutable"
        packed = ask(offline_app, "GET", path, {**cookie(), "Accept-Encoding": "gzip, br"})
        assert packed.headers["Content-Encoding"] == "gzip"
        assert gzip.decompress(packed.body) == body


def test_who_is_not_signed_in_gets_none(offline_app: RunningApp) -> None:
    path = preloads(offline_app)[0]
    assert ask(offline_app, "GET", path, {}).status != 200
    assert ask(offline_app, "GET", path.replace("hfchat-", "hfchat-0"), cookie()).status == 404


def test_each_module_is_reached_from_the_first_and_there_is_no_circle() -> None:
    assert set().union(*IMPORTS.values()) == SCRIPTS.keys() - {"page.js"}
    assert [*TopologicalSorter(IMPORTS).static_order()][-1] == "page.js"


@pytest.mark.parametrize(
    "patch",
    ["window.fetch =", 'navigator, "clipboard"', "new MutationObserver(", "window.hfchat =", "#hfchat-box textarea"],
)
def test_the_platform_is_changed_and_watched_in_one_place(patch: str) -> None:
    assert sum(text.count(patch) for text in TEXTS.values()) == 1


def test_modules_share_no_global_name() -> None:
    assert [name for name, text in TEXTS.items() if "window.hfchat" in text] == ["page.js"]


@each_row("language", LANGUAGES)
def test_what_is_handed_over_ends_no_script(language: Language) -> None:
    document = head("/static/x", "{}", "data:,", language)
    match = re.search(r'<script type="application/json" id="hfchat-constants">([^<]*)</script>', document)
    assert match
    assert json.loads(match[1]) == json.loads(json.dumps(constants(language), default=dict))
