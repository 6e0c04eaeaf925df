"""Tokens as identity providers and backends really write them, with the settings that a README of theirs would lead to."""

import asyncio
import base64
import datetime
import json
import time
from dataclasses import dataclass, field
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from hfchat.auth.jwks import Jwks
from hfchat.auth.verifier import MAX_CACHED_BYTES, Verifier
from hfchat.errors import InvalidToken
from hfchat.types import Caller, Policy
from tests.support.errors import reason_of
from tests.support.handmade_tokens import b64, segment, sign
from tests.support.identity_provider import Provider, http, jwk, key_set, private_key, public_pem, signed
from tests.support.rows import each_row

NOW = int(time.time())
TIMES = {"iat": NOW - 5, "exp": NOW + 3600}
POLICY = Policy("a/b", None)
UUID = "7f3b1c9e-0d5a-4c57-9a39-2f1f0f5d7c11"
LONG_SECRET = "kF9vQmFyQmF6UXV4Q29yZ2VHcmF1bHRXYWxkb0ZyZWRQbHVnaFh5enp5VGh1ZEdhcnBseTEyMzQ"


@dataclass(frozen=True)
class Shape:
    """Claims, header and signature of a provider's token; the rules an owner sets; who the caller is."""

    claims: dict[str, Any]
    subject: str
    rules: dict[str, Any]
    alg: str = "RS256"
    header: dict[str, Any] = field(default_factory=dict)


KEYCLOAK = "https://sso.example.org/realms/main"
AUTH0 = "https://example.eu.auth0.com/"
OKTA = "https://example.okta.com/oauth2/default"
COGNITO = "https://cognito-idp.eu-west-1.amazonaws.com/eu-west-1_AbCdEf123"
ENTRA_V1, ENTRA_V2 = f"https://sts.windows.net/{UUID}/", f"https://login.microsoftonline.com/{UUID}/v2.0"
GOOGLE = ("https://accounts.google.com", "accounts.google.com")

SHAPES = {
    "Keycloak, a person": Shape(
        {
            "iss": KEYCLOAK, "sub": UUID, "aud": "account", "azp": "my-chat", "typ": "Bearer", "jti": f"onrtac:{UUID}",
            "scope": "openid profile email", "sid": "s", "acr": "1", "allowed-origins": ["https://chat.example.org"],
            "realm_access": {"roles": ["offline_access", "admin"]}, "preferred_username": "alice",
        },
        "alice", {"issuers": [KEYCLOAK], "audiences": ["account"], "subject_claim": "preferred_username"},
        header={"typ": "JWT"},
    ),
    "Keycloak, without audience": Shape(
        {"iss": KEYCLOAK, "sub": UUID, "azp": "my-chat", "typ": "Bearer", "scope": "openid profile email"},
        UUID, {"issuers": [KEYCLOAK], "audiences": ["my-chat"]},
    ),
    "Auth0, a person": Shape(
        {
            "iss": AUTH0, "sub": "auth0|64f0c2", "aud": ["https://chat-api", f"{AUTH0}userinfo"], "azp": "x1",
            "scope": "openid profile email", "permissions": ["chat:use"],
        },
        "auth0|64f0c2", {"issuers": [AUTH0], "audiences": ["https://chat-api"]},
    ),
    "Auth0, RFC 9068 profile": Shape(
        {"iss": AUTH0, "sub": "google-oauth2|11", "aud": "https://chat-api", "client_id": "x1", "scope": "chat:use openid"},
        "google-oauth2|11", {"issuers": [AUTH0], "audiences": ["https://chat-api"], "required_scope": "chat:use"},
        header={"typ": "at+jwt"},
    ),
    "Okta": Shape(
        {"ver": 1, "iss": OKTA, "sub": "alice@example.org", "aud": "api://default", "cid": "0oa", "uid": "00u",
         "scp": ["openid", "profile", "chat"]},
        "alice@example.org", {"issuers": [OKTA], "audiences": ["api://default"], "required_scope": "chat"},
    ),
    "Entra ID, v1": Shape(
        {"iss": ENTRA_V1, "sub": "AAAA-sub", "oid": UUID, "aud": "api://my-chat", "appid": "x", "ver": "1.0",
         "scp": "access_as_user", "upn": "alice@example.org", "nbf": NOW - 5},
        UUID, {"issuers": [ENTRA_V1, ENTRA_V2], "audiences": ["api://my-chat"], "subject_claim": "oid"},
        header={"x5t": "abc"},
    ),
    "Entra ID, v2": Shape(
        {"iss": ENTRA_V2, "sub": "AAAA-sub", "oid": UUID, "aud": "my-chat", "azp": "x", "ver": "2.0",
         "scp": "access_as_user User.Read", "nbf": NOW - 5, "uti": "u"},
        UUID, {"issuers": [ENTRA_V1, ENTRA_V2], "audiences": ["api://my-chat", "my-chat"], "subject_claim": "oid",
               "required_scope": "access_as_user"},
    ),
    "Cognito, access token": Shape(
        {"iss": COGNITO, "sub": UUID, "client_id": "3n4b5urk1ft4fl3mg5e62d9ado", "token_use": "access", "version": 2,
         "scope": "aws.cognito.signin.user.admin openid", "username": "alice", "auth_time": NOW - 5, "jti": UUID},
        "alice", {"issuers": [COGNITO], "audiences": ["3n4b5urk1ft4fl3mg5e62d9ado"], "subject_claim": "username"},
    ),
    "Cognito, id token": Shape(
        {"iss": COGNITO, "sub": UUID, "aud": "3n4b5urk1ft4fl3mg5e62d9ado", "token_use": "id", "email_verified": True,
         "email": "alice@example.org", "cognito:username": "alice"},
        "alice", {"issuers": [COGNITO], "audiences": ["3n4b5urk1ft4fl3mg5e62d9ado"], "subject_claim": "cognito:username"},
    ),
    "Clerk, session": Shape(
        {"iss": "https://clerk.example.org", "sub": "user_2abc", "sid": "sess_1", "azp": "https://chat.example.org",
         "nbf": NOW - 15, "v": 2, "fva": [0, -1], "sts": "active"},
        "user_2abc", {"issuers": ["https://clerk.example.org"], "audiences": ["https://chat.example.org"]},
        header={"cat": "cl_B7d4PD111AAA", "typ": "JWT"},
    ),
    "Supabase, shared secret": Shape(
        {"iss": "https://abc.supabase.co/auth/v1", "sub": UUID, "aud": "authenticated", "role": "authenticated",
         "email": "alice@example.org", "app_metadata": {}, "user_metadata": {"hfchat": {}}, "aal": "aal1", "is_anonymous": False},
        UUID, {"issuers": ["https://abc.supabase.co/auth/v1"], "audiences": ["authenticated"]},
        alg="HS256",
    ),
    "Supabase, signing key": Shape(
        {"iss": "https://abc.supabase.co/auth/v1", "sub": UUID, "aud": "authenticated", "role": "authenticated"},
        UUID, {"issuers": ["https://abc.supabase.co/auth/v1"], "audiences": ["authenticated"]},
        alg="ES256",
    ),
    "Firebase": Shape(
        {"iss": "https://securetoken.google.com/my-chat", "sub": "kX3uid", "user_id": "kX3uid", "aud": "my-chat",
         "auth_time": NOW - 5, "firebase": {"identities": {}, "sign_in_provider": "password"}, "email_verified": False},
        "kX3uid", {"issuers": ["https://securetoken.google.com/my-chat"], "audiences": ["my-chat"]},
    ),
    "Google, id token": Shape(
        {"iss": GOOGLE[0], "azp": "1.apps.googleusercontent.com", "aud": "1.apps.googleusercontent.com", "sub": "110169484474",
         "email": "alice@example.org", "email_verified": True, "at_hash": "h", "hd": "example.org"},
        "alice@example.org",
        {"issuers": GOOGLE, "audiences": ["1.apps.googleusercontent.com"], "subject_claim": "email"},
    ),
    "Zitadel": Shape(
        {"iss": "https://example.zitadel.cloud", "sub": "2712345", "aud": ["1@my-chat", "2"], "client_id": "1@my-chat",
         "nbf": NOW - 5, "jti": "V2_1"},
        "2712345", {"issuers": ["https://example.zitadel.cloud"], "audiences": ["2"]},
    ),
    "Authentik": Shape(
        {"iss": "https://id.example.org/application/o/chat/", "sub": "9f86d0", "aud": "my-chat", "azp": "my-chat", "uid": "u",
         "acr": "goauthentik.io/providers/oauth2/default", "amr": ["pwd"], "scope": "openid email profile"},
        "9f86d0", {"issuers": ["https://id.example.org/application/o/chat/"], "audiences": ["my-chat"]},
    ),
    "Hugging Face, id token": Shape(
        {"iss": "https://huggingface.co", "sub": "642bff1c", "aud": "a1b2-client", "preferred_username": "alice", "nonce": "n",
         "auth_time": NOW, "at_hash": "h", "isPro": False, "orgs": []},
        "alice", {"issuers": ["https://huggingface.co"], "audiences": ["a1b2-client"], "subject_claim": "preferred_username"},
    ),
    "a provider with Ed25519 by its own name": Shape(
        {"iss": "https://id.example.org", "sub": "alice", "aud": "my-chat", "exp": NOW + 3600.5},
        "alice", {"issuers": ["https://id.example.org"], "audiences": ["my-chat"]},
        alg="Ed25519",
    ),
    "Node, jsonwebtoken": Shape({"id": 42, "email": "a@b.c"}, "42", {"subject_claim": "id"}, alg="HS256"),
    "Java, jjwt with a long secret": Shape({"sub": "alice"}, "alice", {}, alg="HS512"),
    "Spring, HS384": Shape(
        {"iss": "self", "sub": "alice", "scope": ["message:read"]}, "alice", {"issuers": ["self"]}, alg="HS384"
    ),
}  # fmt: skip


def written(shape: Shape, **changed: Any) -> str:
    """The shape's token; a claim that is changed to None is left out."""
    claims = {name: value for name, value in {**TIMES, **shape.claims, **changed}.items() if value is not None}
    if shape.alg.startswith("HS"):
        return sign({"alg": shape.alg, **shape.header}, claims, LONG_SECRET, f"sha{shape.alg[2:]}")
    if shape.alg == "Ed25519":
        signed_part = f"{segment({'alg': 'Ed25519', 'kid': 'k'})}.{segment(claims)}"
        return f"{signed_part}.{b64(private_key('ed25519').sign(signed_part.encode()))}"
    return signed(shape.alg, claims, kid="k", **shape.header)


def verified(shape: Shape, token: str, **rules: Any) -> Caller:
    kind = {"RS256": "rsa", "ES256": "p256", "Ed25519": "ed25519"}.get(shape.alg)
    key = {"public_key": public_pem(kind)} if kind else {"secret": LONG_SECRET}
    verifier = Verifier(policy=POLICY, **key, **{**shape.rules, **rules})
    return asyncio.run(verifier.verify(token))


@each_row("shape", SHAPES.values(), ids=SHAPES)
def test_a_token_as_its_provider_writes_it_is_let_in_and_is_no_admin(shape: Shape) -> None:
    caller = verified(shape, written(shape))
    assert (caller.subject, caller.issuer, caller.scopes) == (shape.subject, shape.claims.get("iss", ""), {"chat"})


WITH_AUDIENCE = {name: shape for name, shape in SHAPES.items() if "audiences" in shape.rules}


@each_row("shape", WITH_AUDIENCE.values(), ids=WITH_AUDIENCE)
def test_one_that_was_made_for_another_service_is_not(shape: Shape) -> None:
    with pytest.raises(InvalidToken) as refused:
        verified(shape, written(shape), audiences=["another-service", "a-third"])
    assert reason_of(refused.value).startswith("token_claim_wrong|")
    with pytest.raises(InvalidToken) as refused:
        verified(shape, written(shape, aud="another-service"))
    assert reason_of(refused.value) == "token_claim_wrong|aud", "the client says nothing where there is an audience"
    with pytest.raises(InvalidToken) as refused:
        verified(shape, written(shape, aud=None, client_id=None, azp=None))
    assert reason_of(refused.value) == "token_claim_missing|aud"


CLIENTS: dict[str, dict[str, Any]] = {
    "a list": {"client_id": ["my-chat"]},
    "a number": {"azp": 5},
    "the client first": {"client_id": "another", "azp": "my-chat"},
    "an empty audience": {"aud": [], "client_id": "my-chat"},
}


@pytest.mark.parametrize("claims", CLIENTS.values(), ids=CLIENTS)
def test_a_client_stands_in_for_an_audience_only_where_it_is_one_and_there_is_none(claims: dict[str, Any]) -> None:
    shape = Shape({"sub": "alice"}, "alice", {"audiences": ["my-chat"]}, alg="HS256")
    with pytest.raises(InvalidToken):
        verified(shape, written(shape, **claims))


@pytest.mark.parametrize(("alg", "length"), [("HS384", 47), ("HS512", 63)])
def test_a_secret_that_is_too_short_for_the_hash_checks_no_such_token(alg: str, length: int) -> None:
    def token(secret: str) -> str:
        return sign({"alg": alg}, {"sub": "alice", **TIMES}, secret, f"sha{alg[2:]}")

    assert asyncio.run(
        Verifier(policy=POLICY, secret=LONG_SECRET[: length + 1]).verify(token(LONG_SECRET[: length + 1]))
    )
    with pytest.raises(InvalidToken, match="token_algorithm"):
        asyncio.run(Verifier(policy=POLICY, secret=LONG_SECRET[:length]).verify(token(LONG_SECRET[:length])))


def test_a_long_secret_makes_nobody_else_hfchat() -> None:
    claims = {"iss": "hfchat", "sub": "alice", "jti": "j", "scope": "admin", **TIMES}
    with pytest.raises(InvalidToken, match="token_claim_wrong"):
        asyncio.run(
            Verifier(policy=POLICY, secret=LONG_SECRET).verify(sign({"alg": "HS512"}, claims, LONG_SECRET, "sha512"))
        )


def test_a_secret_of_bytes_is_the_backends() -> None:
    key = base64.b64decode(LONG_SECRET + "=" * (-len(LONG_SECRET) % 4))
    token = sign({"alg": "HS256"}, {"sub": "alice", **TIMES}, key)
    assert asyncio.run(Verifier(policy=POLICY, secret=key).verify(token)).subject == "alice"


def eddsa(name: str, kind: str) -> str:
    signed_part = f"{segment({'alg': name})}.{segment({'sub': 'alice', **TIMES})}"
    return f"{signed_part}.{b64(private_key(kind).sign(signed_part.encode()))}"


EDDSA = [
    ("Ed25519", "ed25519", None, True),
    ("Ed448", "ed448", None, True),
    ("EdDSA", "ed25519", None, True),
    ("Ed25519", "ed448", None, False),
    ("Ed448", "ed25519", None, False),
    ("Ed25519", "ed25519", "EdDSA", True),
    ("Ed25519", "ed25519", "Ed25519", True),
    ("EdDSA", "ed25519", "Ed25519", False),
]


@each_row(("alg", "kind", "allowed", "taken"), EDDSA, ids=[f"{a}-{k}-{n}" for a, k, n, _ in EDDSA])
def test_eddsa_has_two_newer_names_each_for_its_own_key(alg: str, kind: str, allowed: str | None, taken: bool) -> None:
    algorithms = frozenset({allowed}) if allowed else None
    verifier = Verifier(policy=POLICY, public_key=public_pem(kind), algorithms=algorithms)
    if taken:
        assert asyncio.run(verifier.verify(eddsa(alg, kind))).subject == "alice"
        return
    with pytest.raises(InvalidToken, match="token_algorithm"):
        asyncio.run(verifier.verify(eddsa(alg, kind)))


@pytest.mark.parametrize("groups", [170, 200])
def test_a_token_with_all_the_groups_of_its_person_is_a_bearer(groups: int) -> None:
    shape = SHAPES["Entra ID, v2"]
    token = written(shape, groups=[UUID] * groups)
    assert len(token) > MAX_CACHED_BYTES
    assert verified(shape, token).subject == UUID


def certificate(kind: str = "rsa", number: int = 0) -> str:
    """A certificate as Google publishes them, of the tests' key."""
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "securetoken.system.gserviceaccount.com")])
    begins = datetime.datetime.now(datetime.UTC) - datetime.timedelta(days=1)
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).serial_number(1)
    builder = builder.public_key(private_key(kind, number).public_key()).not_valid_before(begins)
    whole = builder.not_valid_after(begins + datetime.timedelta(days=16))
    return whole.sign(private_key(kind, number), hashes.SHA256()).public_bytes(Encoding.PEM).decode()


@pytest.mark.anyio
async def test_a_map_of_certificates_is_a_key_set() -> None:
    async with Provider(http(200, json.dumps({"k": certificate(), "old": certificate(number=1)}).encode())) as provider:
        shape = SHAPES["Firebase"]
        verifier = Verifier(policy=POLICY, jwks=Jwks(provider.url), **shape.rules)
        assert (await verifier.verify(written(shape))).subject == "kX3uid"
        with pytest.raises(InvalidToken, match="token_signature"):
            await verifier.verify(signed("RS256", {**TIMES, **shape.claims}, kid="old"))
        with pytest.raises(InvalidToken, match="token_key_unknown"):
            await verifier.verify(signed("RS256", {**TIMES, **shape.claims}, kid="other"))
        await verifier.close()


def discovery(jwks_uri: object) -> bytes:
    return json.dumps(
        {"issuer": "https://id.example.org", "jwks_uri": jwks_uri, "scopes_supported": ["openid"]}
    ).encode()


@pytest.mark.anyio
@pytest.mark.parametrize("relative", [False, True], ids=["whole", "relative"])
async def test_the_keys_of_a_discovery_document_are_followed(relative: bool) -> None:
    async with Provider(http(404)) as provider:
        address = "/keys" if relative else provider.url.replace("/jwks.json", "/keys")
        provider.at = {"/jwks.json": http(200, discovery(address)), "/keys": key_set(jwk("rsa", kid="k"))}
        shape = SHAPES["Zitadel"]
        verifier = Verifier(policy=POLICY, jwks=Jwks(provider.url), **shape.rules)
        assert (await verifier.verify(written(shape))).subject == "2712345"
        assert provider.asked == ["/jwks.json", "/keys"]
        await verifier.close()


ELSEWHERE: dict[str, tuple[object, str]] = {
    "another host": ("https://www.googleapis.com/oauth2/v3/certs", "which is at www.googleapis.com"),
    "another port": ("http://127.0.0.1:9/keys", "which is at 127.0.0.1"),
    "another user": ("http://me@127.0.0.1/keys", "which is at 127.0.0.1"),
    "a file": ("file:///etc/keys", "set JWT_JWKS_URL to its jwks_uri"),
    "no text": (5, "jwks_uri is no address"),
    "nothing": (None, "jwks_uri is no address"),
    "no address": ("http://host:x/keys", "jwks_uri is no address"),
}


@pytest.mark.anyio
@pytest.mark.parametrize(("address", "reason"), ELSEWHERE.values(), ids=ELSEWHERE)
async def test_the_keys_of_a_discovery_document_are_not_followed_elsewhere(
    address: object, reason: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with Provider(http(200, discovery(address))) as provider:
        verifier = Verifier(policy=POLICY, jwks=Jwks(provider.url))
        with pytest.raises(InvalidToken, match="token_key_unreachable"):
            await verifier.verify(written(SHAPES["Zitadel"]))
        assert provider.asked == ["/jwks.json"]
        await verifier.close()
    (line,) = [str(vars(record)) for record in caplog.records if record.message == "jwks_failed"]
    assert reason in line
    assert "oauth2" not in line
