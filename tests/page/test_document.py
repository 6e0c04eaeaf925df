"""What stands in the page before Gradio's own scripts."""

import gzip
import json
import re

from hfchat.i18n.language import LANGUAGES, Language
from hfchat.i18n.sentences import DIRECTIONS, PAGE
from hfchat.page.gradio_translations import words
from tests.conftest import RunningApp
from tests.support.raw_client import ask, cookie
from tests.support.rows import each_row


def test_the_page_begins_with_our_scripts_plain_and_compressed(offline_app: RunningApp) -> None:
    first = (
        rb'<head><script nonce="[\w-]{22}">[^<]*</script>'
        rb'<script nonce="[\w-]{22}" type="importmap">[^<]*</script><link rel="modulepreload" '
        rb'.*<script nonce="[\w-]{22}" type="module" src="./static/hfchat-[0-9a-f]{16}/page.js"></script>.*'
        rb'<script nonce="[\w-]{22}" type="module" crossorigin src="./assets/index-'
    )
    plain = ask(offline_app, "GET", "/", cookie())
    assert len(re.findall(first, plain.body, re.DOTALL)) == 1
    assert plain.body.rstrip().endswith(b"</html>")
    assert int(plain.headers["Content-Length"]) == len(plain.body)
    packed = ask(offline_app, "GET", "/", {**cookie(), "Accept-Encoding": "gzip"})
    assert packed.headers["Content-Encoding"] == "gzip"
    assert re.search(first, gzip.decompress(packed.body), re.DOTALL)
    assert ask(offline_app, "HEAD", "/", cookie()).status == 200


def test_nothing_else_has_it(offline_app: RunningApp) -> None:
    for path in ("/config", "/theme.css", "/gradio_api/info"):
        assert b"<head><script" not in ask(offline_app, "GET", path, cookie()).body


@each_row(("header", "language"), [*((language, language) for language in LANGUAGES), ("pt-BR", "pt"), ("fi", "en")])
def test_the_page_has_one_language(offline_app: RunningApp, header: str, language: Language) -> None:
    page = ask(offline_app, "GET", "/", {**cookie(), "Accept-Language": header}).body.decode()
    assert re.search(rf'<html\s+lang="{language}" dir="{DIRECTIONS[language]}"', page)
    start = page.index(mark := '"i18n_translations":') + len(mark)
    assert json.JSONDecoder().raw_decode(page[start:])[0] == {"en": words(language)}
    told = re.search(r'id="hfchat-constants">([^<]*)<', page)
    assert told
    assert json.loads(told[1])["language"] == language
    # Each language adds nothing to the page of another.
    others = (text["greeting"] for other, text in PAGE.items() if other != language)
    assert not any(text in page for text in others)


def test_the_cookie_chooses_the_language_of_the_page(offline_app: RunningApp) -> None:
    chose = {"Cookie": f"{cookie()['Cookie']}; hfchat_language=ja", "Accept-Language": "de"}
    assert '<html\n\tlang="ja"' in ask(offline_app, "GET", "/", chose).body.decode()


def test_no_connection_is_held_open_by_a_page_at_rest(offline_app: RunningApp) -> None:
    assert ask(offline_app, "GET", "/config", cookie()).json["connect_heartbeat"] is False
