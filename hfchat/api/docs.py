"""`/docs`: the API reference as a plain page, written from the OpenAPI document; FastAPI's own loads from a CDN."""

import json
import re
from collections.abc import Callable
from html import escape
from typing import Any

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from hfchat.errors import catalogue
from hfchat.http.error_response import say
from hfchat.http.html import page
from hfchat.i18n.language import Language, language_of
from hfchat.i18n.sentences import PAGE


def docs_route(openapi: Callable[[], dict[str, Any]], *, public_url: str | None = None) -> Route:
    """The route of the page; `openapi` gives the document, `public_url` the address in examples, else the request's."""

    async def docs(request: Request) -> Response:
        language = language_of(request.headers.get("accept-language", ""))
        url = public_url or str(request.base_url).rstrip("/")
        return HTMLResponse(page(language, PAGE[language]["docs"], _reference(openapi(), url, language), wide=True))

    return Route("/docs", docs, methods=["GET"])


def _reference(document: dict[str, Any], url: str, language: Language) -> str:
    parts = ['<p class="soft"><a href="/openapi.json">/openapi.json</a></p>']
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            parts.append(_operation(f"{method.upper()} {path}", url + path, operation, language))
    errors = [(code, str(error.status), say(error(), language)[0]) for code, error in sorted(catalogue().items())]
    parts.append(f"<h2>{PAGE[language]['errors']}</h2>{_table(errors)}")
    return "".join(parts)


def _operation(title: str, address: str, operation: dict[str, Any], language: Language) -> str:
    texts = PAGE[language]
    said = _prose(operation.get("description", operation.get("summary", "")))
    body = operation.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema", {})
    parts = [f"<h2><code>{escape(title)}</code></h2><p>{said}</p>"]
    if body:
        asked = json.dumps(next(iter(body.get("examples", [])), {}), ensure_ascii=False)
        curl = f"curl {address} -H \"Authorization: Bearer $TOKEN\" \\\n  -d '{asked}'"
        fields = [
            (name, "" if name in body.get("required", []) else texts["optional"], field.get("description", ""))
            for name, field in body.get("properties", {}).items()
        ]
        parts += [f"<p>{texts['request_example']}</p><pre>{escape(curl)}</pre>", _table(fields)]
    answers = [(status, answer.get("description", ""), "") for status, answer in operation["responses"].items()]
    parts.append(f"<p>{texts['answers']}</p>{_table(answers)}")
    return "".join(parts)


def _table(rows: list[tuple[str, str, str]]) -> str:
    cells = ((f"<code>{escape(first)}</code>", _prose(second), _prose(third)) for first, second, third in rows)
    lines = "".join("<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>" for row in cells)
    return f"<table>{lines}</table>"


def _prose(text: str) -> str:
    html = re.sub(r"`([^`]+)`", r"<code>\1</code>", escape(text))
    return html.replace("\n\n", "</p><p>")
