"""A real Chromium for the tests of the page, and where it comes from."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from tests.conftest import RunningApp, in_ci, make_token

# The box that questions are written into.
BOX = "#hfchat-box textarea"
# Enabled, though nobody sees it, when no turn is under way.
TURN = "#hfchat-turn"
# Ample on a busy machine; nothing waits for it to pass.
PATIENCE_S = 30
expect.set_options(timeout=PATIENCE_S * 1000)
# Playwright's own list, in whose place this one is, and then what fills the address bar of each new window, which nobody
# sees: that is half the work of a visit.
_OFF = (
    *("AvoidUnnecessaryBeforeUnloadCheckSync", "DestroyProfileOnBrowserClose", "HttpsUpgrades", "LensOverlay"),
    *("HttpsFirstBalancedModeAutoEnable", "MediaRouter", "PaintHolding", "ThirdPartyStoragePartitioning"),
    *("AvoidCorsURLLoaderRestartOnRedirect", "OptimizationHints", "NetworkTimeServiceQuerying", "AimEnabled"),
    *("PreconnectToSearch", "WebUIOmniboxPopup", "WebUIOmniboxAimPopup"),
)
# Without most of these Chromium looks its maker's hosts up at every start.
_QUIET = [
    f"--disable-features={','.join(_OFF)}",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


# Without windows that nobody sees, the same Chromium does half the work for a page; what its windows do, it does not.
_SHELL, _WHOLE = "chromium-headless-shell", ("chromium", "google-chrome")


@contextmanager
def chromium(*arguments: str, whole: bool = False) -> Iterator[Browser]:
    """The system's Chromium: its headless shell, if it is there, where not the whole browser is tested with.

    Skips where there is none; in CI that is a failure.
    """
    with chromiums(1, *arguments, whole=whole) as (browser,):
        yield browser


@contextmanager
def chromiums(count: int, *arguments: str, whole: bool = False) -> Iterator[list[Browser]]:
    """As `chromium`, so many programs that have nothing in common."""
    programs = _WHOLE if whole else (_SHELL, *_WHOLE)
    path = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, programs)), None)
    if path is None:
        if in_ci():
            raise FileNotFoundError("chromium is not installed")
        pytest.skip("chromium is not installed (Debian: apt-get install chromium)")
    with sync_playwright() as playwright:
        launch = partial(playwright.chromium.launch, executable_path=path, args=[*_QUIET, *arguments])
        browsers = [launch() for _ in range(count)]
        yield browsers
        for browser in browsers:
            browser.close()


def _counts(complaint: str) -> bool:
    """Whether it is the page's own: Gradio complains of requests that end because the page is left."""
    return "AbortError" not in complaint


def open_invite_link(page: Page, link: str) -> None:
    """Open the link, and press the button of the page that asks who signs in."""
    page.goto(link)
    page.locator("form[action='/login'] button").click()


_AT_REST = """() => new Promise((done) => {
  const rest = () => { watch.disconnect(); done(); };
  let timer = setTimeout(rest, 300);
  const watch = new MutationObserver(() => { clearTimeout(timer); timer = setTimeout(rest, 300); });
  watch.observe(document, { subtree: true, childList: true, attributes: true, characterData: true });
})"""


class Visit:
    """A visitor's page with what it asked for and complained of."""

    def __init__(self, context: BrowserContext, app: RunningApp) -> None:
        self.app = app
        self.page: Page = context.new_page()
        self.hosts: set[str] = set()
        self.complaints: list[str] = []
        self.page.on("request", lambda request: self.hosts.add(request.url.split("/")[2]))
        self.page.on(
            "console", lambda said: said.type == "error" and _counts(said.text) and self.complaints.append(said.text)
        )
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))

    def sign_in(self, token: str | None = None) -> "Visit":
        open_invite_link(self.page, f"{self.app.url}/login?token={token or make_token()}")
        self.page.wait_for_selector(BOX)
        return self

    def ask(self, text: str) -> None:
        self.page.fill(BOX, text)
        expect(self.page.locator(TURN)).to_be_enabled()
        if self.page.evaluate("matchMedia('(pointer: coarse)').matches"):
            self.page.locator("button.submit-button").click()  # Enter begins a line there
        else:
            self.page.keyboard.press("Enter")

    def open_menu(self) -> None:
        self.page.click(".hfchat-menu summary")

    def expect_signed_in(self, name: str) -> None:
        expect(self.page.locator(".hfchat-menu summary strong")).to_have_text(name)

    def replies(self) -> list[str]:
        return self.page.locator(".message.bot").all_inner_texts()

    def wait_for(self, text: str, timeout_s: float = PATIENCE_S) -> None:
        self.page.get_by_text(text).first.wait_for(timeout=timeout_s * 1000)

    def rest(self) -> None:
        """Wait until nothing has changed for a while: what Gradio has just made it still fills, faster than a person types."""
        self.page.evaluate(_AT_REST)


@contextmanager
def visiting(browser: Browser, app: RunningApp, **options: object) -> Iterator[Visit]:
    context = browser.new_context(**options)  # type: ignore[arg-type]
    context.set_default_timeout(PATIENCE_S * 1000)
    try:
        yield Visit(context, app)
    finally:
        context.close()
