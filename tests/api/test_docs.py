import html.parser
import json
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.requests import Request

from hfchat.api.docs import docs_route
from tests.conftest import RunningApp
from tests.support.raw_client import ask, bearer

Attributes = list[tuple[str, str | None]]


class Page(html.parser.HTMLParser):
    """A page's tags and its text."""

    def __init__(self, body: bytes) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(body.decode())

    def handle_starttag(self, tag: str, attrs: Attributes) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data


def test_the_reference_has_every_operation_of_the_api(offline_app: RunningApp) -> None:
    document = ask(offline_app, "GET", "/openapi.json", bearer()).json
    page = Page(ask(offline_app, "GET", "/docs", bearer()).body)
    assert "/api/ai/chat" in document["paths"]
    for path, operations in document["paths"].items():
        for method in operations:
            assert f"{method.upper()} {path}" in page.text
    assert not [path for path in document["paths"] if not path.startswith(("/api/", "/v1/"))]
    assert document["components"]["securitySchemes"]["bearer"]["scheme"] == "bearer"


def test_the_reference_loads_nothing(offline_app: RunningApp) -> None:
    page = Page(ask(offline_app, "GET", "/docs", bearer()).body)
    assert [a[name] for _, a in page.tags for name in ("src", "href") if name in a] == ["data:,", "/openapi.json"]
    assert not {tag for tag, _ in page.tags} & {"script", "img", "iframe", "object"}


@pytest.mark.parametrize(("language", "words"), [("en", "API reference"), ("es", "Referencia de la API")])
def test_the_reference_is_in_the_readers_language(offline_app: RunningApp, language: str, words: str) -> None:
    said = ask(offline_app, "GET", "/docs", {**bearer(), "Accept-Language": language})
    assert words in Page(said.body).text


def test_the_example_of_the_reference_is_taken_by_the_api(offline_app: RunningApp) -> None:
    page = Page(ask(offline_app, "GET", "/docs", bearer()).body)
    example = page.text.partition("-d '")[2].partition("'")[0]
    said = ask(
        offline_app, "POST", "/api/ai/chat", bearer(), json.dumps({**json.loads(example), "max_tokens": 1}).encode()
    )
    assert (said.status, said.json["model"]) == (200, "hfchat/offline-stand-in")


@pytest.mark.parametrize("path", ["/redoc", "/docs/oauth2-redirect", "/gradio_api/openapi.json", "/gradio_api/docs"])
def test_there_is_no_other_reference(offline_app: RunningApp, path: str) -> None:
    assert ask(offline_app, "GET", path, bearer()).status == 404


EVIL = "<script>alert(1)</script>"


def _document(**operation: Any) -> dict[str, Any]:
    return {"paths": {f"/x{EVIL}": {"post": {"responses": {"200": {"description": EVIL}}, **operation}}}}


@pytest.mark.anyio
@pytest.mark.parametrize(
    "operation",
    [
        {"description": EVIL},
        {"summary": EVIL},
        {"requestBody": {"content": {"application/json": {"schema": {"examples": [{"a": EVIL}], "title": EVIL}}}}},
        {"requestBody": {"content": {"application/json": {"schema": {"title": EVIL}}}}},
        {},
    ],
    ids=["description", "summary", "example", "no example", "bare"],
)
async def test_what_a_document_says_is_text(operation: dict[str, Any]) -> None:
    route = docs_route(lambda: _document(**operation))
    scope = {"type": "http", "method": "GET", "path": "/docs", "headers": [], "query_string": b"", "app": Starlette()}
    page = Page((await route.endpoint(Request(scope))).body)
    assert EVIL in page.text
    assert "script" not in {tag for tag, _ in page.tags}
