"""Markdown renderer: Gradio's, made safe with our rules in it: its script calls ours for raw HTML, links, pictures, formulas,
diagrams.

Gradio has no hook there, and what a message says must stay as it is for who copies, edits or sends it. So two of its scripts
are sent with a few calls of `static/replies.js`, `fences.js`, `formulas.js` and `diagrams.js` put in. Without these the page is
not safe: where Gradio's text is another than that of the pinned version, nothing starts.
"""

import hashlib
import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path

import gradio
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

_ASSETS = Path(gradio.__file__).parent / "templates" / "frontend" / "assets"
_MESSAGE = {
    "get message(){return t.message.content}": "get message(){return window.hfchat.replies.text(t.message)}",
    # Gradio rewrites `src="/file...` in a text: it does not any more.
    "content:xe(t.text,n)": "content:t.text",
    # The text for Gradio's copy button.
    "function Q(e){return ": "function Q(e){return window.hfchat.replies.copied(e);return ",
}
# `f` says whether it is a message of the chat or a text of the page's own.
_RENDERER = {
    "y=wt({header_links:g(),line_breaks:ee(),latex_delimiters:m()||[]})": (
        "y=f()?window.hfchat.replies.parser(wt({header_links:g(),line_breaks:ee(),latex_delimiters:[]}))"
        ":wt({header_links:g(),line_breaks:ee(),latex_delimiters:m()||[]})"
    ),
    # Tabs that indent would be spaces, in code too.
    "e.replace(/^( *)(\\t+)/gm,(e,t,n)=>t+`    `.repeat(n.length))": "window.hfchat.fences.withSpaces(e)",
    # What is indented by two spaces is inside of a numbered item.
    "u=u>4?1:u,s=r.slice(u),u+=t[1].length": (
        "u=u>4?1:u,s=r.slice(u),u=Math.min(u+t[1].length,i.ordered?t[1].search(/\\S/)+2:1/0)"
    ),
    "let n=[],r=e;m().forEach(e=>{": (
        "let n=[],formulas=n,r=f()&&m().length?window.hfchat.formulas.withoutFormulas(e,n):e;f()||m().forEach(e=>{"
    ),
    "j(i(y.parser(t),$),r)": "(f()?j(y.parser(t),formulas):j(i(y.parser(t),$),r))",
    "if(ie(t))try{": "if(Array.isArray(t)?t.length:ie(t))try{",
    "e(n,{delimiters:m(),throwOnError:!1})}catch(e){console.error(e)}return n}": (
        "Array.isArray(t)?window.hfchat.formulas.typeset(n,t,e):e(n,{delimiters:m(),throwOnError:!1})}"
        "catch(e){console.error(e),Array.isArray(t)&&window.hfchat.formulas.typeset(n,t,null)}return n}"
    ),
    "securityLevel:`antiscript`": "securityLevel:`strict`,suppressErrorRendering:!0",
    "await t.run({nodes:e.map(e=>e)})": "await window.hfchat.diagrams.draw(t,e)",
}


def _with_calls(text: str, calls: Mapping[str, str]) -> str:
    for before, after in calls.items():
        if text.count(before) != 1:
            raise RuntimeError(f"not the Gradio that is known here: its page has not once {before!r}")
        text = text.replace(before, after)
    return text


@cache
def renderer_scripts() -> Mapping[str, bytes]:
    """The scripts of Gradio's that are sent changed, by name. Raises: RuntimeError where they are not those that are known."""
    scripts = {}
    for pattern, calls in (("markdown-code-*.js", _RENDERER), ("Index-*.js", _MESSAGE)):
        texts = {path.name: path.read_text("utf-8") for path in _ASSETS.glob(pattern)}
        names = [name for name, text in texts.items() if next(iter(calls)) in text]
        if len(names) != 1:
            raise RuntimeError(f"not the Gradio that is known here: {pattern} is {len(names)} scripts")
        scripts[names[0]] = _with_calls(texts[names[0]], calls).encode()
    return scripts


def import_map() -> str:
    """Has the browser load them under an address of their own: one that kept Gradio's for a year would not ask again."""
    names = {name: hashlib.sha256(script).hexdigest()[:8] for name, script in renderer_scripts().items()}
    return json.dumps(
        {"imports": {f"./assets/{name}": f"./assets/{name}?v={digest}" for name, digest in names.items()}}
    )


class RendererScripts:
    """ASGI middleware of Gradio's application: answers for these scripts."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._scripts = {f"/assets/{name}": script for name, script in renderer_scripts().items()}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, or pass the request on."""
        script = self._scripts.get(scope["path"]) if scope["type"] == "http" else None
        if script is None:
            return await self._app(scope, receive, send)
        return await Response(script, media_type="application/javascript")(scope, receive, send)
