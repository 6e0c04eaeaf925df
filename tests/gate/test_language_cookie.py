"""The language that a visitor chose, ahead of their browser's."""

from hfchat.gate.language_cookie import chosen_first
from tests.conftest import RunningApp
from tests.support.raw_client import ask
from tests.support.rows import each_row

CHOSEN = [
    ("hfchat_language=es", "es"),
    ("a=b; hfchat_language=en; c=d", "en"),
    ("hfchat_language=fr", "fr"),
    ("hfchat_language=fi", "de"),
    ("hfchat_language=esx", "de"),
    ("xhfchat_language=es", "de"),
    ("hfchat_language", "de"),
    ("", "de"),
]


@each_row(("cookie", "language"), CHOSEN)
def test_the_cookie_goes_first(cookie: str, language: str) -> None:
    headers = chosen_first([(b"accept-language", b"de"), (b"cookie", cookie.encode())])
    assert [value for name, value in headers if name == b"accept-language"] == [language.encode()]
    assert (b"cookie", cookie.encode()) in headers


def test_pages_and_refusals_are_in_the_chosen_language(offline_app: RunningApp) -> None:
    chose = {"Cookie": "hfchat_language=es", "Accept-Language": "en"}
    assert "Iniciar sesión" in ask(offline_app, "GET", "/login", chose).body.decode()
    assert "No has iniciado sesión" in ask(offline_app, "GET", "/config", chose).json["error"]["message"]
