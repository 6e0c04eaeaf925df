import gzip
import html.parser
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect
from playwright.sync_api import Page as BrowserPage

from hfchat.api import docs
from hfchat.errors import catalogue
from tests.conftest import RunningApp, make_token
from tests.support.browser import Visit, visiting
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


def test_the_document_has_the_api_and_nothing_else(offline_app: RunningApp) -> None:
    document = ask(offline_app, "GET", "/openapi.json", bearer()).json
    assert "/api/ai/chat" in document["paths"]
    assert not [path for path in document["paths"] if not path.startswith(("/api/", "/v1/"))]
    assert document["components"]["securitySchemes"]["bearer"]["scheme"] == "bearer"


def assets(page: Page) -> list[str]:
    """The addresses of what the page loads."""
    return [str(a[name]) for tag, a in page.tags if tag != "a" for name in ("src", "href") if name in a]


def test_the_reference_loads_its_own_files_which_a_browser_keeps(offline_app: RunningApp) -> None:
    icon, *addresses = assets(Page(ask(offline_app, "GET", "/docs", bearer()).body))
    assert (icon, len(addresses)) == ("data:,", 4)
    for address in addresses:
        answer = ask(offline_app, "GET", address, bearer())
        assert (answer.status, answer.headers["Content-Encoding"]) == (200, None)
        assert answer.headers["Cache-Control"] == "private, max-age=31536000, immutable"
        for _ in range(2):
            zipped = ask(offline_app, "GET", address, {**bearer(), "Accept-Encoding": "gzip, deflate"})
            assert zipped.headers["Content-Encoding"] == "gzip"
            assert gzip.decompress(zipped.body) == answer.body
        assert ask(offline_app, "GET", address).status == 401


def test_the_policy_of_the_reference_lets_no_other_host_and_no_inline_script_in(offline_app: RunningApp) -> None:
    answer = ask(offline_app, "GET", "/docs", bearer())
    policy = answer.headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self'; ")
    assert policy.endswith("base-uri 'none'; form-action 'none'; frame-ancestors 'self'")
    assert "unsafe" not in policy
    assert "http" not in policy
    assert [a for tag, a in Page(answer.body).tags if tag == "script" and "src" not in a] == []


def test_the_reference_has_every_error(offline_app: RunningApp) -> None:
    page = Page(ask(offline_app, "GET", "/docs", bearer()).body)
    for code, error in catalogue().items():
        assert f"{error.status}{code}" in page.text


@pytest.mark.parametrize(("language", "words"), [("en", "API reference"), ("es", "Referencia de la API")])
def test_the_reference_is_in_the_readers_language(offline_app: RunningApp, language: str, words: str) -> None:
    answer = ask(offline_app, "GET", "/docs", {**bearer(), "Accept-Language": language})
    assert words in Page(answer.body).text


@pytest.mark.parametrize("path", ["/redoc", "/docs/oauth2-redirect", "/gradio_api/openapi.json", "/gradio_api/docs"])
def test_there_is_no_other_reference(offline_app: RunningApp, path: str) -> None:
    assert ask(offline_app, "GET", path, bearer()).status == 404


OPERATION = "#operations-chat-chat"


@pytest.fixture
def visit(request: pytest.FixtureRequest, browser: Browser, offline_app: RunningApp) -> Iterator[Visit]:
    """The reference, signed in. A parameter of the test are options of the browser's."""
    with visiting(browser, offline_app, **getattr(request, "param", {})) as visit:
        visit.sign_in()
        visit.page.goto(f"{offline_app.url}/docs")
        visit.page.wait_for_selector(".opblock")
        yield visit
        assert visit.complaints == []
        assert visit.hosts == {f"127.0.0.1:{offline_app.port}"}


def open_operations(page: BrowserPage) -> None:
    for operation in page.locator(".opblock-summary-control").all():
        operation.click()
    expect(page.locator(".responses-table").last).to_be_visible()


def test_the_reader_shows_every_operation(visit: Visit, offline_app: RunningApp) -> None:
    document = ask(offline_app, "GET", "/openapi.json", bearer()).json
    operations = [f"{method.upper()} {path}" for path, methods in document["paths"].items() for method in methods]
    summaries = visit.page.locator(".opblock-summary")
    shown = [
        f"{summary.locator('.opblock-summary-method').inner_text()} {summary.locator('a').first.inner_text()}"
        for summary in summaries.all()
    ]
    # It puts a zero-width space where a path may break.
    assert sorted(path.replace("\u200b", "") for path in shown) == sorted(operations)
    title = document["info"]["title"]
    expect(visit.page.locator(".swagger-ui .title")).to_contain_text(title)


def test_a_call_is_tried_with_the_token_that_is_typed_in(visit: Visit) -> None:
    page = visit.page
    page.locator(OPERATION).locator(".opblock-summary-control").click()
    page.locator(OPERATION).get_by_role("button", name="Try it out").click()
    execute = page.locator(OPERATION).get_by_role("button", name="Execute")
    with page.expect_response("**/api/ai/chat") as refusal:
        execute.click()
    assert refusal.value.status == 401  # the session of the page is no token of the API
    visit.complaints.clear()  # the browser tells of each answer that is an error

    page.get_by_role("button", name="Authorize").first.click()
    page.locator("#auth-bearer-value").fill(make_token("tester"))
    page.locator(".auth-btn-wrapper .authorize").first.click()
    page.locator(".btn-done").first.click()
    with page.expect_response("**/api/ai/chat") as reply:
        execute.click()
    assert reply.value.status == 200
    expect(page.locator(OPERATION).locator(".live-responses-table")).to_contain_text("hfchat/offline-stand-in")
    storage = page.evaluate("JSON.stringify([localStorage, sessionStorage]) + document.cookie")
    assert "eyJ" not in storage


@pytest.mark.parametrize("visit", [{"viewport": {"width": 360, "height": 740}}], indirect=True, ids=["phone"])
def test_the_reference_fits_a_phone_and_breaks_no_status(visit: Visit) -> None:
    open_operations(visit.page)
    assert visit.page.evaluate("document.documentElement.scrollWidth") == 360
    heights = visit.page.evaluate(
        """() => [...document.querySelectorAll("td.response-col_status, #errors td:first-child")].map((cell) => {
          const range = document.createRange();
          range.selectNodeContents(cell);
          return range.getClientRects().length;
        })"""
    )
    assert len(heights) > len(catalogue())
    assert set(heights) == {1}


@pytest.mark.parametrize("visit", [{"color_scheme": "dark"}], indirect=True, ids=["dark"])
def test_the_reference_is_dark_where_the_reader_wants_it(visit: Visit) -> None:
    open_operations(visit.page)
    for selector in ("#errors td", ".swagger-ui .title", ".swagger-ui td.header-col"):
        colour = visit.page.locator(selector).first.evaluate("element => getComputedStyle(element).color")
        assert min(map(int, re.findall(r"\d+", colour)[:3])) > 180, selector
    visit.page.emulate_media(color_scheme="light")
    expect(visit.page.locator("html")).not_to_have_class("dark-mode")


def test_the_reader_is_of_the_version_that_is_named_beside_it(visit: Visit) -> None:
    readme = Path(docs.__file__).parent / "static" / "swagger-ui" / "README.md"
    version = visit.page.evaluate("versions.swaggerUI.version")
    assert readme.read_text("utf-8").startswith(f"# Swagger UI {version}\n")
