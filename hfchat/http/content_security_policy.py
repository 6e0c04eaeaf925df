"""Content-Security-Policy: what a document from here may load, run, send a form to, and be framed by.

The chat page shows text of models and other people, which must not cause a request: pictures only from `data:` and `blob:`
addresses, no media, no frames, no forms. Styles stay `'unsafe-inline'`: Gradio, KaTeX and Mermaid write style attributes.
Scripts need the nonce of the response or come from this host.
"""

import base64
import hashlib

from hfchat.types import HUB_URL


def framing(*, on_space: bool) -> str:
    """`frame-ancestors`: on a Space, Hugging Face's own page may frame the document, too."""
    return f"frame-ancestors 'self' {HUB_URL}" if on_space else "frame-ancestors 'self'"


def chat_page_policy(nonce: str, *, on_space: bool) -> str:
    """The policy of the chat page. `nonce` is on every inline script, and in no other response."""
    return (
        f"default-src 'self'; script-src 'self' 'nonce-{nonce}'; style-src 'self' 'unsafe-inline'; img-src data: blob:; "
        "media-src 'none'; font-src 'self' data:; connect-src 'self'; frame-src 'none'; object-src 'none'; "
        f"base-uri 'none'; form-action 'none'; {framing(on_space=on_space)}"
    )


def small_page_policy(style: str, *, form: bool, on_space: bool) -> str:
    """The policy of small pages, with one inline style sheet and no script; `form`: with a form to this server."""
    action = "'self'" if form else "'none'"
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    return (
        f"default-src 'none'; style-src 'sha256-{digest}'; img-src data:; base-uri 'none'; "
        f"form-action {action}; {framing(on_space=on_space)}"
    )


def reference_policy(*, on_space: bool) -> str:
    """The policy of `/docs`: scripts, styles and trial calls from and to this host only."""
    return (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src data:; connect-src 'self'; base-uri 'none'; "
        f"form-action 'none'; {framing(on_space=on_space)}"
    )


# For responses that are no documents.
DATA_POLICY = "default-src 'none'; frame-ancestors 'none'"
