"""Seal (AES-256-GCM) for what lies in a cookie or in the ledger and only this server may read. Its key comes from JWT_SECRET."""

import secrets

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

_NONCE_BYTES = 12  # NIST SP 800-38D section 8.2


class Seal:
    """Seals for one `purpose`: what was sealed for another one does not open."""

    def __init__(self, secret: str | bytes, purpose: str) -> None:
        key = HKDF(SHA256(), 32, salt=None, info=f"hfchat {purpose}".encode()).derive(
            secret.encode() if isinstance(secret, str) else secret
        )
        self._cipher = AESGCM(key)

    def close(self, plain: bytes, context: str = "") -> bytes:
        """The value, sealed. It opens only with the same `context`, so that nobody can put it in another's place."""
        nonce = secrets.token_bytes(_NONCE_BYTES)
        return nonce + self._cipher.encrypt(nonce, plain, context.encode())

    def open(self, sealed: bytes, context: str = "") -> bytes | None:
        """What was sealed; None for anything else."""
        try:
            return self._cipher.decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], context.encode())
        except (InvalidTag, ValueError):
            return None
