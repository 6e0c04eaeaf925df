"""API reference at `/docs`: Swagger UI, served from here; FastAPI's own page would load it from a CDN."""

from pathlib import Path

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from hfchat.errors import catalogue
from hfchat.http.content_security_policy import reference_policy
from hfchat.http.error_response import say
from hfchat.http.html import template
from hfchat.http.static_files import static_routes
from hfchat.i18n.language import language_of
from hfchat.i18n.sentences import PAGE

_STATIC = Path(__file__).parent / "static"
_FILES = ("swagger-ui/swagger-ui-bundle.js", "swagger-ui/swagger-ui.css", "docs.js", "docs.css")
_DOCS = template("api/templates/docs.html")


def docs_routes(*, on_space: bool) -> list[Route]:
    """The page and its files, whose address changes with them. `on_space` where Hugging Face's page may frame it."""
    folder, assets = static_routes("docs", {name: (_STATIC / name).read_bytes() for name in _FILES})
    headers = {"Content-Security-Policy": reference_policy(on_space=on_space)}

    async def docs(request: Request) -> Response:
        language = language_of(request.headers.get("accept-language", ""))
        # Without its particulars, a sentence may end with the colon that stands before them.
        errors = [(error.status, code, say(error(), language)[0].rstrip(":")) for code, error in catalogue().items()]
        page = _DOCS.render(language=language, texts=PAGE[language], folder=folder, errors=sorted(errors))
        return HTMLResponse(page, headers=headers)

    return [Route("/docs", docs, methods=["GET"]), *assets]
