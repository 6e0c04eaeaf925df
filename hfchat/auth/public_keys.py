"""Public keys, from PEM text or JSON Web Keys, each with the algorithms that it may verify and no others. Pure.

An algorithm belongs to one kind of key (RFC 7518 section 3.1, RFC 8037): a key that fits none is refused.
"""

from dataclasses import dataclass

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from cryptography.x509 import load_pem_x509_certificate
from jwt import PyJWK, PyJWTError

RSA_ALGORITHMS = frozenset({"RS256", "RS384", "RS512", "PS256", "PS384", "PS512"})
# RFC 9864 section 2.2 names the two kinds of `EdDSA` apart, and deprecates that name.
EDDSA_ALGORITHMS = frozenset({"EdDSA", "Ed25519", "Ed448"})
PUBLIC_KEY_ALGORITHMS = RSA_ALGORITHMS | EDDSA_ALGORITHMS | {"ES256", "ES384"}
MIN_RSA_BITS = 2048
# Checking a signature takes longer with a longer key: 0.24 ms with this one, 0.02 ms with 2048 bits.
MAX_RSA_BITS = 8192
MAX_KEYS = 200
# Without `oct` (RFC 7517 section 4.1): a symmetric key in a public document is everybody's.
_ALGORITHM_OF_KTY = {"RSA": "RS256", "EC": "ES256", "OKP": "EdDSA"}

PublicKey = rsa.RSAPublicKey | ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey | ed448.Ed448PublicKey


class BadKeySet(Exception):
    """The published document is no set of public keys. The message is ours, fit for the log."""


@dataclass(frozen=True, slots=True)
class PublishedKey:
    """A key of a set: its `kid`, where it has one, and the algorithms that it may verify."""

    kid: str | None
    algorithms: frozenset[str]
    key: PublicKey


def algorithms_of(key: object) -> frozenset[str]:
    """The algorithms that this key may verify; none where it is of another kind, too short or too long."""
    match key:
        case rsa.RSAPublicKey():
            return RSA_ALGORITHMS if MIN_RSA_BITS <= key.key_size <= MAX_RSA_BITS else frozenset()
        case ec.EllipticCurvePublicKey(curve=ec.SECP256R1()):
            return frozenset({"ES256"})
        case ec.EllipticCurvePublicKey(curve=ec.SECP384R1()):
            return frozenset({"ES384"})
        case ed25519.Ed25519PublicKey():
            return frozenset({"EdDSA", "Ed25519"})
        case ed448.Ed448PublicKey():
            return frozenset({"EdDSA", "Ed448"})
    return frozenset()


def read_public_key(text: str) -> PublicKey:
    """The one public key in this PEM text. Raises: ValueError, saying what is there instead and what to write."""
    if "PRIVATE KEY" in text:
        raise ValueError(
            "this is the private half of a key, which only who signs may have; write the public half: "
            "openssl pkey -in private.pem -pubout"
        )
    if "BEGIN CERTIFICATE" in text:
        raise ValueError(
            "this is a certificate, not a key; write the key that is in it: openssl x509 -in certificate.pem -pubkey -noout"
        )
    if text.count("-----BEGIN") > 1:
        raise ValueError("there is more than one key in it; write one, or the address of them all as JWT_JWKS_URL")
    try:
        key = load_pem_public_key(text.encode())
    except (ValueError, UnsupportedAlgorithm) as error:
        raise ValueError(
            "it is not a whole public key in PEM; write it from -----BEGIN PUBLIC KEY----- to -----END PUBLIC KEY-----"
        ) from error
    if isinstance(key, rsa.RSAPublicKey) and not algorithms_of(key):
        raise ValueError(
            f"it is an RSA key of {key.key_size} bits, and {MIN_RSA_BITS} to {MAX_RSA_BITS} are taken (RFC 7518 3.3); "
            "make the issuer's key anew"
        )
    if not algorithms_of(key):
        raise ValueError("it is another kind of key than RSA, EC on P-256 or P-384, Ed25519 or Ed448; use one of these")
    return key  # type: ignore[return-value]


def read_key_set(document: object) -> tuple[list[PublishedKey], int]:
    """The keys of a JWK Set (RFC 7517 section 5) that can verify a token, and how many private ones were left out.

    The other form is taken too, in which Firebase and Google publish their keys: `{kid: certificate}`.
    Raises: BadKeySet where there is no such key, or where it is no key set.
    """
    certificates = document if isinstance(document, dict) and all(map(_is_certificate, document.values())) else {}
    entries = list(certificates.items()) or (document.get("keys") if isinstance(document, dict) else None)
    if not isinstance(entries, list):
        raise BadKeySet("not a key set")
    if len(entries) > MAX_KEYS:
        raise BadKeySet("too many keys")
    private = [entry for entry in entries if isinstance(entry, dict) and "d" in entry]
    published = [_certified(*entry) if certificates else _published(entry) for entry in entries]
    keys = [key for key in published if key is not None]
    if not keys:
        raise BadKeySet("no usable key")
    return keys, len(private)


def _is_certificate(value: object) -> bool:
    return isinstance(value, str) and value.startswith("-----BEGIN CERTIFICATE-----")


def _certified(kid: str, pem: str) -> PublishedKey | None:
    try:
        key = load_pem_x509_certificate(pem.encode()).public_key()
    except (ValueError, UnsupportedAlgorithm):
        return None
    algorithms = algorithms_of(key)
    return PublishedKey(kid, algorithms, key) if algorithms else None  # type: ignore[arg-type]


def _published(entry: object) -> PublishedKey | None:
    if not isinstance(entry, dict):
        return None
    kid, kty, alg, key_ops = entry.get("kid"), entry.get("kty"), entry.get("alg"), entry.get("key_ops", ["verify"])
    if not isinstance(kty, str) or kty not in _ALGORITHM_OF_KTY or not isinstance(kid, str | None):
        return None
    # A published private key is compromised.
    if "d" in entry or entry.get("use", "sig") != "sig" or not isinstance(key_ops, list) or "verify" not in key_ops:
        return None
    try:
        key = PyJWK(entry, _ALGORITHM_OF_KTY[kty]).key
    except (PyJWTError, ValueError, TypeError, KeyError, UnsupportedAlgorithm):
        return None
    # A key that is named by the older `EdDSA` signs under its newer name, too.
    named = EDDSA_ALGORITHMS if alg == "EdDSA" else {str(alg)}
    algorithms = algorithms_of(key) if alg is None else algorithms_of(key) & named
    return PublishedKey(kid, algorithms, key) if algorithms else None
