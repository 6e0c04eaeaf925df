"""Renews the README's picture of the page: `python -m tests.support.screenshot`."""

from pathlib import Path

from playwright.sync_api import expect

from tests.conftest import make_settings, make_token, running
from tests.support.browser import chromium, visiting

PICTURE = Path(__file__).parents[2] / ".github" / "page.png"


def main() -> None:
    PICTURE.parent.mkdir(exist_ok=True)
    size = {"width": 860, "height": 740}
    settings = make_settings(HFCHAT_RATE="30/minute", HFCHAT_BUDGET="200000/day")
    with running(settings) as app, chromium() as browser, visiting(browser, app, viewport=size) as visit:
        visit.sign_in(make_token("alice"))
        visit.ask("Hello! What is this, and how do I get a real model?")
        expect(visit.page.locator(".message.bot")).to_contain_text("again.", timeout=20_000)
        visit.page.wait_for_timeout(500)
        visit.page.screenshot(path=PICTURE)


if __name__ == "__main__":
    main()
