from pathlib import Path

import pytest
from jinja2 import UndefinedError

from hfchat.http import html
from hfchat.http.html import STYLE, template
from tests.support.rows import each_row

HFCHAT = Path(html.__file__).parents[1]
TEMPLATES = sorted(path.relative_to(HFCHAT).as_posix() for path in HFCHAT.rglob("templates/*.html"))
EVIL = "<script>alert('1')</script>"


def test_a_value_is_text() -> None:
    document = template("gate/templates/retry.html").render(language="en", title=EVIL, hint=f'"{EVIL}')
    assert "<script" not in document
    assert document.count("&lt;script&gt;") == 3
    assert f"<style>{STYLE}</style>" in document


def test_a_name_inside_a_sentence_is_text() -> None:
    texts = {"sign_in": "", "confirm_lead": "for <i> {name}", "confirm_button": "{name}", "confirm_help": ""}
    person = {"name": EVIL, "issuer": EVIL}
    document = template("gate/templates/confirm.html").render(
        language="en", texts=texts, token=EVIL, caller=person, session=None, own_issuer="hfchat"
    )
    assert "<script" not in document
    assert "for &lt;i&gt; <bdi><strong>&lt;script&gt;" in document


@each_row("name", TEMPLATES)
def test_a_value_that_is_missing_is_an_error(name: str) -> None:
    with pytest.raises(UndefinedError):
        template(name).render()
