"""What a person waits for in a browser: the first paint of the page, a box to write into, the first word of a reply."""

import os
from dataclasses import dataclass

from playwright.sync_api import sync_playwright

from hfchat.http.session_cookie import COOKIE
from tests.bench.load import next_number
from tests.bench.programs import installed

# Looked at in every frame; what is hidden cannot be written into.
_WATCH = """
window.boxAt = new Promise((resolve) => {
    const look = () => {
        const boxes = [...document.querySelectorAll("[data-testid=textbox]")];
        if (boxes.some((box) => box.offsetParent && !box.disabled)) resolve(performance.now());
        else requestAnimationFrame(look);
    };
    look();
});
window.paintedAt = new Promise((resolve) => {
    new PerformanceObserver((list) => {
        for (const { name, startTime } of list.getEntries()) if (name === "first-contentful-paint") resolve(startTime);
    }).observe({ type: "paint", buffered: true });
});
"""
_ASK = """
([question, word]) => new Promise((resolve) => {
    const box = [...document.querySelectorAll("[data-testid=textbox]")].find((found) => found.offsetParent);
    box.value = question;
    box.dispatchEvent(new Event("input", { bubbles: true }));
    requestAnimationFrame(() => {
        const asked = performance.now();
        const watch = new MutationObserver(() => {
            const said = document.querySelector("[data-testid=bot]")?.textContent ?? "";
            if (!said.includes(word)) return;
            watch.disconnect();
            requestAnimationFrame(() => resolve(performance.now() - asked));
        });
        watch.observe(document, { subtree: true, childList: true, characterData: true });
        box.dispatchEvent(new KeyboardEvent("keypress", { key: "Enter", bubbles: true }));
    });
})
"""
# Chromium is to look up nobody's hosts meanwhile.
_QUIET = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--no-first-run",
]
_PATIENCE_MS = 60_000
# What the page does after it was opened is no part of the first turn.
_SETTLED_MS = 1_500


@dataclass
class Seen:
    """Milliseconds: until something was painted, until the box could be written into, and from Enter to the first word."""

    paint_ms: float
    box_ms: float
    word_ms: float


def installed_browser() -> str:
    """A Chromium to look with, or an empty text."""
    return installed(os.environ.get("CHROMIUM"), "chromium", "google-chrome")


def see(url: str, token: str | None) -> Seen:
    """A person who was never here opens the page, with the cookie of whoever signed in with `token`, and asks once.

    Not in an event loop.
    """
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=installed_browser(), args=_QUIET)
        context = browser.new_context()
        context.set_default_timeout(_PATIENCE_MS)
        if token:
            context.add_cookies([{"name": COOKIE, "value": token, "url": url}])
        context.add_init_script(_WATCH)
        page = context.new_page()
        page.goto(url)
        box_ms, paint_ms = page.evaluate("Promise.all([window.boxAt, window.paintedAt])")
        page.wait_for_timeout(_SETTLED_MS)
        number = next_number().decode()
        return Seen(paint_ms, box_ms, page.evaluate(_ASK, [f"#{number}# Why is the sky blue?", number]))
