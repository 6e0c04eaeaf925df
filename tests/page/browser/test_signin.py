"""In a real Chromium: nothing but a person's own button signs them in or out, and the page's policy hinders nothing of ours."""

import base64
import re
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from tests.conftest import RunningApp, make_token, wait_until
from tests.support.browser import BOX, Visit, visiting
from tests.support.raw_client import logged
from tests.support.stub_upstream import StubUpstream, reply

EVIL = "http://evil.example"
PIXEL = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
# What a model could write so that the reader's browser asks for an address.
LOADS = """
![x](ADDRESS)
<img src="ADDRESS" srcset="ADDRESS 2x"><picture><source srcset="ADDRESS"><img src="data:,"></picture>
<video src="ADDRESS" poster="ADDRESS" autoplay></video><audio src="ADDRESS" autoplay></audio>
<video autoplay><source src="ADDRESS"><track src="ADDRESS" default></video>
<p style="background: url(ADDRESS); list-style: url(ADDRESS); border-image: url(ADDRESS)">p</p>
<style>@import "ADDRESS"; body { background: url(ADDRESS) } </style>
<style>@font-face { font-family: f; src: url(ADDRESS) } p { font: 1em f }</style>
<svg><image href="ADDRESS"/><use href="ADDRESS#a"/></svg>
<iframe src="ADDRESS"></iframe><object data="ADDRESS"></object><embed src="ADDRESS"><frame src="ADDRESS">
<link rel="stylesheet" href="ADDRESS"><link rel="prefetch" href="ADDRESS"><link rel="icon" href="ADDRESS">
<script src="ADDRESS"></script><script>fetch("ADDRESS")</script><img src="data:," onerror="fetch('ADDRESS')">
<input type="image" src="ADDRESS"><body background="ADDRESS"><table background="ADDRESS"><td background="ADDRESS">t</td></table>

last word
"""
FORMS = """
<form method="post" action="/login"><input type="hidden" name="token" value="TOKEN"><button>one</button></form>
<form method="post" action="/logout"><button>two</button></form>
<form method="get" action="/login"><input type="hidden" name="token" value="TOKEN"><button>three</button></form>
<form><input type="hidden" name="token" value="TOKEN"><button formmethod="post" formaction="/login">four</button></form>

last word
"""


def cookies(visit: Visit) -> dict[str, str]:
    return {str(cookie["name"]): str(cookie["value"]) for cookie in visit.page.context.cookies()}


def show_at_evil(visit: Visit, body: str) -> None:
    visit.page.route(f"{EVIL}/**", lambda route: route.fulfill(body=body, content_type="text/html"))
    visit.page.goto(f"{EVIL}/")


@pytest.fixture(params=[True, False], ids=["with the policy", "in a browser without it"])
def has_policy(request: pytest.FixtureRequest) -> bool:
    """Each line of defence has to hold by itself."""
    return bool(request.param)


@pytest.fixture
def visit(has_policy: bool, browser: Browser, app: RunningApp, stub: StubUpstream) -> Iterator[Visit]:
    with visiting(browser, app, bypass_csp=not has_policy, locale="en-GB") as found:
        yield found.sign_in(make_token("alice"))


@pytest.mark.parametrize("path", ["/login?token=TOKEN", "/login", "/logout"])
def test_nothing_that_a_reply_loads_signs_anybody_in_or_out(visit: Visit, stub: StubUpstream, path: str) -> None:
    before = cookies(visit)
    address = path.replace("TOKEN", make_token("mallory"))
    stub.answer = lambda _: reply([LOADS.replace("ADDRESS", address)])
    with logged() as lines:
        visit.ask("show me")
        visit.wait_for("last word")
        visit.rest()
    assert not any("signed_in" in line for line in lines)
    assert cookies(visit) == before
    visit.page.reload()
    visit.expect_signed_in("alice")


@pytest.mark.parametrize("button", ["one", "two", "three", "four"])
def test_no_form_in_a_reply_signs_anybody_in_or_out(
    visit: Visit, stub: StubUpstream, has_policy: bool, button: str
) -> None:
    before = cookies(visit)
    stub.answer = lambda _: reply([FORMS.replace("TOKEN", make_token("mallory"))])
    visit.ask("show me")
    visit.wait_for("last word")
    visit.rest()
    found = visit.page.locator(".message.bot").get_by_role("button", name=button, exact=True)
    if found.count():  # a reply may as well be shown without
        with nullcontext() if has_policy else visit.page.expect_navigation():
            found.dispatch_event("click")
        visit.rest()
    assert cookies(visit) == before
    visit.page.goto(visit.app.url)
    visit.expect_signed_in("alice")


def test_no_form_of_another_site_signs_anybody_in_or_out(visit: Visit) -> None:
    before = cookies(visit)
    for path, name in (("login", "token"), ("logout", "x")):
        body = (
            f'<form method="post" action="{visit.app.url}/{path}">'
            f'<input name="{name}" value="{make_token("mallory")}"><button>go</button></form>'
        )
        show_at_evil(visit, body)
        with visit.page.expect_response(f"{visit.app.url}/{path}") as answer:
            visit.page.get_by_role("button", name="go").click()
        assert answer.value.status == 400
        assert cookies(visit) == before


def test_a_link_to_somebody_elses_session_asks_first(visit: Visit) -> None:
    before = cookies(visit)
    body = f'<a href="{visit.app.url}/login?token={make_token("mallory")}">free tokens</a>'
    show_at_evil(visit, body)
    visit.page.get_by_role("link", name="free tokens").click()
    expect(visit.page.get_by_role("alert")).to_contain_text("You are signed in as alice now.")
    expect(visit.page.get_by_role("button")).to_have_text("Sign in as mallory")
    assert cookies(visit) == before
    visit.page.get_by_role("link", name="Stay signed in as alice").click()
    visit.expect_signed_in("alice")
    assert cookies(visit) == before


LONG = "w" * 150


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize(("locale", "button"), [("en-GB", "Sign in as"), ("es-ES", "Entrar como")])
def test_the_link_is_one_key_away_from_the_page_on_a_phone(
    browser: Browser, app: RunningApp, locale: str, button: str, scheme: str
) -> None:
    options = {"locale": locale, "color_scheme": scheme, "viewport": {"width": 360, "height": 640}}
    with visiting(browser, app, **options, java_script_enabled=False) as plain:
        session = {"name": "hfchat_session", "value": make_token(f"old-{LONG}"), "url": app.url}
        plain.page.context.add_cookies([session])  # type: ignore[list-item]
        plain.page.goto(f"{app.url}/login?token={make_token(LONG)}")
        assert plain.page.locator("main").evaluate("main => document.documentElement.scrollWidth") <= 360
        expect(plain.page.get_by_role("button")).to_have_text(f"{button} {LONG}")
        expect(plain.page.get_by_role("button")).to_be_focused()
        plain.page.keyboard.press("Enter")
        wait_until(lambda: cookies(plain)["hfchat_session"] != session["value"])


def test_the_way_back_does_not_show_the_link_again(browser: Browser, app: RunningApp) -> None:
    token = make_token("alice")
    with visiting(browser, app) as found:
        found.sign_in(token)
        found.page.go_back()
        found.page.wait_for_selector(BOX)
        assert found.page.url == f"{app.url}/"
        assert token not in found.page.evaluate("document.referrer")


RICH = "Formula $$x^2$$\n\n```mermaid\ngraph TD; A-->B\n```\n\n```python\nprint(1)\n```\n\n| a | b |\n|--|--|\n| 1 | 2 |\n\nend"


def test_the_policy_hinders_nothing_of_the_page(
    browser: Browser, app: RunningApp, stub: StubUpstream, tmp_path: Path
) -> None:
    stub.answer = lambda _: reply([RICH])
    with visiting(browser, app, locale="en-GB", viewport={"width": 1280, "height": 900}) as found:
        page, violations = found.page, []
        page.expose_function("violated", lambda text: violations.append(str(text)))
        page.add_init_script(
            "addEventListener('securitypolicyviolation', (event) => violated(`${event.violatedDirective} ${event.blockedURI}`))"
        )
        found.sign_in()
        found.ask("show me")
        expect(page.locator(".message.bot .katex")).to_have_count(1)
        expect(page.locator(".message.bot svg[id^=mermaid]")).to_be_visible()
        page.set_input_files(
            "#hfchat-picture-files",
            [{"name": "a.png", "mimeType": "image/png", "buffer": PIXEL}],
        )
        found.rest()
        page.locator("#hfchat-settings button").first.click()
        found.open_menu()
        page.click("[data-do=program]")
        expect(page.locator("dialog pre").first).to_be_visible()
        page.keyboard.press("Escape")
        found.rest()
        found.open_menu()
        page.get_by_role("button", name="Sign out").click()
        with page.expect_download() as download:
            page.get_by_role("button", name=re.compile("Export")).click()
        download.value.save_as(tmp_path / "talk.json")
        page.locator("dialog").get_by_role("button", name="Cancel").click()
        page.locator("#hfchat-history input[type=file]").set_input_files(tmp_path / "talk.json")
        found.rest()
        page.goto(f"{app.url}/docs")
        page.goto(app.url)
        page.wait_for_selector(BOX)
        found.rest()
        found.open_menu()
        page.get_by_role("button", name="Sign out").click()
        page.get_by_role("button", name=re.compile("^Keep")).click()
        page.wait_for_url("**/login")
        assert cookies(found) == {}
        assert (violations, found.complaints) == ([], [])
