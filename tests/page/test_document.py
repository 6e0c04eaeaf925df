"""What stands in the page before Gradio's own scripts."""

import gzip
import re

from tests.conftest import RunningApp
from tests.support.raw_client import ask, cookie


def test_the_page_begins_with_our_scripts_plain_and_compressed(offline_app: RunningApp) -> None:
    first = (
        rb'<head><script nonce="[\w-]{22}" type="importmap">[^<]*</script><link rel="modulepreload" '
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
