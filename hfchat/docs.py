"""`/docs`: the API reference as a plain page, written from the OpenAPI document; FastAPI's own loads from a CDN."""

import json
from collections.abc import Callable
from html import escape
from typing import Any

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from hfchat.pages import page
from hfchat.texts import PAGE, Language, language_of


def docs_route(openapi: Callable[[], dict[str, Any]]) -> Route:
    """The route of the page; `openapi` gives the document."""

    async def docs(request: Request) -> Response:
        language = language_of(request.headers.get("accept-language", ""))
        return HTMLResponse(page(language, PAGE[language]["docs"], _reference(openapi(), language), wide=True))

    return Route("/docs", docs, methods=["GET"])


def _reference(document: dict[str, Any], language: Language) -> str:
    parts = ['<p class="soft">Authorization: Bearer &lt;token&gt; · <a href="/openapi.json">/openapi.json</a></p>']
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            parts.append(_operation(path, method, operation, language))
    return "".join(parts)


def _operation(path: str, method: str, operation: dict[str, Any], language: Language) -> str:
    said = escape(operation.get("description", operation.get("summary", ""))).replace("\n\n", "</p><p>")
    body = operation.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema", {})
    example = ""
    if body:
        shown = json.dumps(body, indent=2, ensure_ascii=False)
        asked = json.dumps(next(iter(body.get("examples", [])), {}), ensure_ascii=False)
        curl = f"curl …{path} -H 'Authorization: Bearer …' -H 'Content-Type: application/json' \\\n  -d '{asked}'"
        example = f"<p>{PAGE[language]['request_example']}</p><pre>{escape(curl)}</pre>"
        example += f"<details><summary>JSON Schema</summary><pre>{escape(shown)}</pre></details>"
    answers = "".join(
        f"<li><strong>{escape(status)}</strong> {escape(answer.get('description', ''))}</li>"
        for status, answer in operation["responses"].items()
    )
    title = f"<h2><code>{method.upper()} {escape(path)}</code></h2>"
    return f"{title}<p>{said}</p>{example}<p>{PAGE[language]['answers']}</p><ul>{answers}</ul>"
