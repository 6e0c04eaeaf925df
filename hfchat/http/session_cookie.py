"""Session cookie: the signed token in the browser, or another value as secret. Its name, its attributes, and how it is read.

Over https the name begins with `__Host-` (RFC 6265bis section 4.1.3.2), so no other host of the domain and no page over http
can write it. Two cookies of the name are refused: which one is the user's is unknown.
"""

import re

from starlette.datastructures import Headers
from starlette.types import Scope

from hfchat.errors import InvalidToken

COOKIE = "hfchat_session"
SECURE_PREFIX = "__Host-"
# RFC 6265 section 6.1: a browser keeps cookies of up to 4096 bytes, name and attributes included.
MAX_COOKIE_TOKEN = 3800
# RFC 6265bis section 5.6: what a browser strips from a name before it checks the prefix. If more were stripped here, such as
# U+00A0, another host could set a cookie that passes for ours.
_WHITE_SPACE = " \t"
# RFC 7515 section 7.1, compact form; so nothing in it can end the cookie or the header.
COMPACT = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+")


class SessionCookie:
    """A cookie of one server. `https`: its address is known to be https; `framed`: another site shows it in a frame.

    Its value is a token, or another text of base64url.
    """

    def __init__(self, *, https: bool = False, framed: bool = False, name: str = COOKIE) -> None:
        self._https = https or framed  # in a frame of another site only `Secure` cookies are stored
        self.framed = framed
        self._base_name = name

    def token(self, scope: Scope) -> str:
        """The token in the request's cookie; the empty string without one. Raises: InvalidToken for two cookies."""
        name = self._name(scope)
        pairs = (pair.partition("=") for header in Headers(scope=scope).getlist("cookie") for pair in header.split(";"))
        values = [value.strip(_WHITE_SPACE) for key, _, value in pairs if key.strip(_WHITE_SPACE) == name]
        if len(values) > 1:
            raise InvalidToken("two_sessions")
        return values[0] if values else ""

    def header(self, scope: Scope, token: str, max_age_s: int) -> str:
        """The value of `Set-Cookie`, by hand: `http.cookies` has `Partitioned`, which a frame needs, only from Python 3.14 on."""
        secure = "; Secure" if self._secure(scope) else ""
        site = "SameSite=None; Secure; Partitioned" if self.framed else f"SameSite=Lax{secure}"
        return f"{self._name(scope)}={token}; Path=/; HttpOnly; Max-Age={max(max_age_s, 0)}; {site}"

    def _name(self, scope: Scope) -> str:
        return f"{SECURE_PREFIX}{self._base_name}" if self._secure(scope) else self._base_name

    def _secure(self, scope: Scope) -> bool:
        # Behind two proxies there may be two of them; the gate passes `https` on only, so the first one does not decide.
        forwarded = Headers(scope=scope).getlist("x-forwarded-proto")
        return self._https or scope.get("scheme") == "https" or "https" in forwarded
