"""HTML templates (jinja2), each beside the package that owns it; every value is escaped.

The frame of small pages is `http/templates/page.html`: no script, no outside asset, light and dark, from a phone's width up.
"""

from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template

from hfchat.i18n.sentences import DIRECTIONS

_HFCHAT = Path(__file__).parent.parent

# Inline in the document: the Content-Security-Policy of small pages has its hash.
STYLE = (_HFCHAT / "http/templates/page.css").read_text("utf-8")

_ENVIRONMENT = Environment(
    loader=FileSystemLoader(_HFCHAT),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
    auto_reload=False,
)
_ENVIRONMENT.globals |= {"style": STYLE, "directions": DIRECTIONS}


def template(name: str) -> Template:
    """The template in the file `name`, a path below `hfchat`. Raises: TemplateNotFound, TemplateSyntaxError."""
    return _ENVIRONMENT.get_template(name)
