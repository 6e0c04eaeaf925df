"""Sign-in attempt at an OpenID provider: `state`, `nonce` and PKCE verifier (RFC 7636), sealed in a cookie of the browser.

So nobody can finish a sign-in that this browser has not begun (login CSRF), and the server stores nothing for it before
it is answered.
"""

import base64
import binascii
import hashlib
import hmac
import json
import secrets
from dataclasses import dataclass, field

from hfchat.auth.seal import Seal

# Ample for a password and a second factor.
ATTEMPT_S = 600
_PURPOSE = "sign-in attempt"


@dataclass(frozen=True, slots=True)
class Attempt:
    """One attempt, begun at `began`, in seconds since 1970; in `frame`, the id of the frame that waits for it, if any."""

    state: str = field(repr=False)
    nonce: str = field(repr=False)
    verifier: str = field(repr=False)
    began: float
    frame: str = ""

    @staticmethod
    def begin(now: float, frame: str = "") -> "Attempt":
        """A new attempt; each of its values has 256 random bits."""
        return Attempt(secrets.token_urlsafe(32), secrets.token_urlsafe(32), secrets.token_urlsafe(32), now, frame)

    @property
    def challenge(self) -> str:
        """The code challenge, by S256 (RFC 7636 section 4.2)."""
        digest = hashlib.sha256(self.verifier.encode()).digest()
        return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()

    def matches(self, state: str) -> bool:
        """Whether the answer with this `state` belongs to it."""
        return hmac.compare_digest(self.state.encode(), state.encode())


class AttemptCookie:
    """Writes and reads the cookie's value, with a key of this server's."""

    def __init__(self, secret: str | bytes) -> None:
        self._seal = Seal(secret, _PURPOSE)

    def write(self, attempt: Attempt) -> str:
        """The value: base64url, and sealed."""
        plain = json.dumps([attempt.state, attempt.nonce, attempt.verifier, attempt.began, attempt.frame]).encode()
        return base64.urlsafe_b64encode(self._seal.close(plain)).decode()

    def read(self, value: str, now: float) -> Attempt | None:
        """The attempt; None where it is none of ours, or older than ATTEMPT_S."""
        try:
            plain = self._seal.open(base64.b64decode(value, altchars=b"-_", validate=True))
        except (binascii.Error, ValueError):
            return None
        attempt = Attempt(*json.loads(plain)) if plain is not None else None
        return attempt if attempt is not None and 0 <= now - attempt.began <= ATTEMPT_S else None
