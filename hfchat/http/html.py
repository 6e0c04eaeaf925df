"""The frame of our own small pages: no script, no outside asset, light and dark, from a phone's width up."""

from html import escape

from hfchat.i18n.language import Language

STYLE = """
:root { color-scheme: light dark; --fg: #1f2937; --bg: #f8fafc; --card: #fff; --line: #d1d5db; --accent: #1d4ed8; --on: #fff;
  --bad-bg: #fef2f2; --bad: #991b1b; --soft: #4b5563 }
@media (prefers-color-scheme: dark) { :root { --fg: #f3f4f6; --bg: #0b0f19; --card: #111827; --line: #374151;
  --accent: #93c5fd; --on: #0b0f19; --bad-bg: #450a0a; --bad: #fecaca; --soft: #9ca3af } }
* { box-sizing: border-box }
body { margin: 0; min-height: 100vh; display: grid; grid-template-columns: minmax(0, 26rem); place-items: center; place-content: center; padding: 1rem; background: var(--bg); color: var(--fg);
  font: 1rem/1.5 system-ui, sans-serif }
main { width: 100%; min-width: 0; background: var(--card); border: 1px solid var(--line); border-radius: .75rem; padding: 1.5rem; overflow-wrap: anywhere }
body:has(main.wide) { grid-template-columns: minmax(0, 50rem) }
table { width: 100%; border-collapse: collapse; font-size: .9rem } td { padding: .3rem .5rem .3rem 0; vertical-align: top;
  border-top: 1px solid var(--line); overflow-wrap: anywhere }
code { overflow-wrap: anywhere }
h1 { margin: 0 0 .5rem; font-size: 1.4rem } h2 { font-size: 1.1rem; margin: 2rem 0 .25rem }
p { margin: .5rem 0 } .soft { color: var(--soft); font-size: .9rem }
label { display: block; margin: 1rem 0 .25rem; font-weight: 600 }
input { width: 100%; padding: .65rem; font: inherit; color: inherit; background: var(--bg); border: 1px solid var(--line); border-radius: .5rem }
button { width: 100%; margin-top: 1rem; padding: .7rem; font: inherit; font-weight: 600; cursor: pointer; border: 0; border-radius: .5rem;
  background: var(--accent); color: var(--on) }
:focus-visible { outline: 3px solid var(--accent); outline-offset: 2px }
.bad { background: var(--bad-bg); color: var(--bad); border-radius: .5rem; padding: .6rem .8rem }
a { color: var(--accent); overflow-wrap: anywhere } li { margin: .75rem 0 }
pre { overflow-x: auto; padding: .6rem; background: var(--bg); border: 1px solid var(--line); border-radius: .5rem; font-size: .85rem }
"""


def page(language: Language, title: str, body: str, *, wide: bool = False) -> str:
    """A whole HTML document. `title` is text; `body` is HTML whose parts from outside are already escaped."""
    css_class = ' class="wide"' if wide else ""
    return (
        f'<!doctype html><html lang="{language}"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<title>{escape(title)} · hfchat</title><link rel="icon" href="data:,"><style>{STYLE}</style></head>'
        f"<body><main{css_class}><h1>{escape(title)}</h1>{body}</main></body></html>"
    )
