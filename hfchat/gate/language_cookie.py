"""Language cookie: the language that a visitor chose on the page goes before `Accept-Language`."""

from hfchat.i18n.language import LANGUAGES, Language

LANGUAGE_COOKIE = "hfchat_language"
_CHOICES: dict[bytes, Language] = {f"{LANGUAGE_COOKIE}={choice}".encode(): choice for choice in LANGUAGES}


def chosen_first(headers: list[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    """A request's headers, `Accept-Language` as the visitor chose where they did."""
    chosen = None
    for name, value in headers:
        if name == b"cookie" and LANGUAGE_COOKIE.encode() in value:
            chosen = next((_CHOICES[part] for part in value.replace(b" ", b"").split(b";") if part in _CHOICES), chosen)
    if chosen is None:
        return headers
    return [
        *((name, value) for name, value in headers if name != b"accept-language"),
        (b"accept-language", chosen.encode()),
    ]
