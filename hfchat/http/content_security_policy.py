"""Content-Security-Policy: what a document from here may load, run, send a form to, and be framed by.

The chat page shows what models and other people wrote, so nothing in it is fetched because a reply says so: no picture but
from a `data:` or `blob:` address, no sound, film or frame, and no form is sent. Styles stay `'unsafe-inline'`: Gradio, KaTeX
and Mermaid write them into attributes. Scripts need this answer's nonce or come from a file of this host.
"""

import base64
import hashlib

HUB = "https://huggingface.co"


def framing(*, on_space: bool) -> str:
    """Who may show the document in a frame: on a Space, Hugging Face's own page, too."""
    return f"frame-ancestors 'self' {HUB}" if on_space else "frame-ancestors 'self'"


def chat_page_policy(nonce: str, *, on_space: bool) -> str:
    """The chat page's. `nonce` is on every script that stands in the document, and in no other answer."""
    return (
        f"default-src 'self'; script-src 'self' 'nonce-{nonce}'; style-src 'self' 'unsafe-inline'; img-src data: blob:; "
        "media-src 'none'; font-src 'self' data:; connect-src 'self'; frame-src 'none'; object-src 'none'; "
        f"base-uri 'none'; form-action 'none'; {framing(on_space=on_space)}"
    )


def small_page_policy(style: str, *, form: bool, on_space: bool) -> str:
    """That of pages of our own, which have one style sheet, `style`, and no script; `form` where one sends a form to us."""
    action = "'self'" if form else "'none'"
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    return (
        f"default-src 'none'; style-src 'sha256-{digest}'; img-src data:; base-uri 'none'; "
        f"form-action {action}; {framing(on_space=on_space)}"
    )


def reference_policy(*, on_space: bool) -> str:
    """That of `/docs`: scripts, styles and the calls that a reader tries, from and to this host only."""
    return (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src data:; connect-src 'self'; base-uri 'none'; "
        f"form-action 'none'; {framing(on_space=on_space)}"
    )


# What is no document loads nothing, and is framed by nobody.
DATA_POLICY = "default-src 'none'; frame-ancestors 'none'"
