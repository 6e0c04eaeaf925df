"""Tokens of ours, of a backend and of an identity provider: who they make of a caller, and all that is refused."""

import asyncio
import base64
import json
import time
from dataclasses import replace
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st

from hfchat.auth.claims import MAX_TIME
from hfchat.auth.jwks import Jwks
from hfchat.auth.own_tokens import MAX_TOKEN_BYTES, issue_token
from hfchat.auth.verifier import Verifier
from hfchat.errors import ExpiredToken, HfchatError, InsufficientScope, InvalidToken
from hfchat.http.error_response import say
from hfchat.limits import Limit
from hfchat.types import Caller, Policy
from tests.conftest import KEY
from tests.support.errors import reason_of
from tests.support.fuzz import ANY_JSON, FUZZ, chain
from tests.support.handmade_tokens import b64, segment, sign
from tests.support.identity_provider import KINDS, Provider, jwk, key_set, private_key, public_pem, signed
from tests.support.rows import each_row

NOW = int(time.time())
ISSUER = "https://login.example.org/"
CLAIMS: dict[str, Any] = {"sub": "alice", "iss": ISSUER, "exp": NOW + 3600, "iat": NOW - 10}
BACKEND: dict[str, Any] = {"id": 42, "email": "alice@example.org", "iat": NOW - 10, "exp": NOW + 3600}
HS256 = {"alg": "HS256", "typ": "JWT"}
POLICY = Policy(
    default_model="a/b",
    models=frozenset({"a/b", "c/d"}),
    fallback_models=("c/d",),
    max_tokens=1024,
    rate=(Limit(30, "minute"),),
    budget=(Limit(200_000, "day"),),
    streams=4,
)


def verifier(*, issuer: str | None = None, audience: str | None = None, **given: Any) -> Verifier:
    return Verifier(
        policy=POLICY, issuers=(issuer,) if issuer else (), audiences=(audience,) if audience else (), **given
    )


def verified(token: str, now: float | None = None, **given: Any) -> Caller:
    """Who a verifier with these keys and rules makes of the token."""
    return asyncio.run(verifier(**given).verify(token, now))


def refusal(token: str, kind: type[HfchatError] = InvalidToken, now: float | None = None, **given: Any) -> HfchatError:
    with pytest.raises(kind) as refused:
        verified(token, now, **given)
    return refused.value


def backend(**changed: Any) -> str:
    """A token of a backend that shares the secret, by the issuer of the others."""
    return sign(HS256, {**CLAIMS, **changed})


def lacking(*names: str) -> str:
    return sign(HS256, {name: value for name, value in CLAIMS.items() if name not in names})


def detail(token: str, **given: Any) -> str:
    return reason_of(refusal(token, secret=KEY, **given))


def caller(**changed: Any) -> Caller:
    return verified(backend(**changed), secret=KEY)


PUBLIC = [*KINDS.items(), ("EdDSA", "ed448")]
KEY_KINDS = ("rsa", "p256", "p384", "ed25519", "ed448")


@each_row(("alg", "kind"), PUBLIC, ids=[f"{alg}-{kind}" for alg, kind in PUBLIC])
def test_a_token_that_a_public_key_checks_is_taken(alg: str, kind: str) -> None:
    alice = verified(signed(alg, CLAIMS, kind=kind), public_key=public_pem(kind))
    assert alice == Caller("alice", alice.token_id, NOW + 3600, POLICY, frozenset({"chat"}), ISSUER)


@pytest.mark.anyio
@pytest.mark.parametrize(("alg", "kind"), PUBLIC, ids=[f"{alg}-{kind}" for alg, kind in PUBLIC])
async def test_a_token_that_a_published_key_checks_is_taken(alg: str, kind: str) -> None:
    async with Provider(key_set(jwk(kind, kid="k"), jwk("rsa", 1, kid="other"))) as provider:
        checks = verifier(jwks=Jwks(provider.url))
        alice = await checks.verify(signed(alg, CLAIMS, kind=kind, kid="k"))
        assert (alice.subject, alice.issuer) == ("alice", ISSUER)
        with pytest.raises(InvalidToken) as refused:
            await checks.verify(signed(alg, CLAIMS, kind=kind, kid="other"))
        assert reason_of(refused.value) in ("token_key_unknown", "token_signature")
        await checks.close()


PAIRS = [(alg, kind, key) for alg, kind in PUBLIC for key in KEY_KINDS if key != kind]


@each_row(("alg", "kind", "key"), PAIRS, ids=[f"{alg}-{kind}-by-{key}" for alg, kind, key in PAIRS])
def test_a_key_of_another_kind_checks_nothing(alg: str, kind: str, key: str) -> None:
    same_algorithm = {kind, key} == {"ed25519", "ed448"}
    wrong = "token_signature" if same_algorithm else "token_algorithm"
    assert reason_of(refusal(signed(alg, CLAIMS, kind=kind), public_key=public_pem(key))) == wrong


@each_row(("alg", "kind"), PUBLIC, ids=[f"{alg}-{kind}" for alg, kind in PUBLIC])
def test_another_key_of_the_kind_signed_nothing(alg: str, kind: str) -> None:
    assert (
        reason_of(refusal(signed(alg, CLAIMS, kind=kind, number=1), public_key=public_pem(kind))) == "token_signature"
    )


MISLABELLED = [
    ("ES256", "ES384", "p384"),
    ("ES384", "ES256", "p256"),
    ("RS256", "PS256", "rsa"),
    ("PS256", "RS256", "rsa"),
    ("RS512", "RS256", "rsa"),
    ("EdDSA", "ES256", "p256"),
]


@each_row(("said", "alg", "kind"), MISLABELLED, ids=[f"{alg}-as-{said}" for said, alg, _ in MISLABELLED])
def test_a_signature_under_another_algorithms_name_is_refused(said: str, alg: str, kind: str) -> None:
    _, claims, signature = signed(alg, CLAIMS).split(".")
    token = f"{segment({'alg': said, 'typ': 'JWT'})}.{claims}.{signature}"
    assert reason_of(refusal(token, public_key=public_pem(kind))) in ("token_algorithm", "token_signature")


def public_key_texts(kind: str) -> dict[str, bytes]:
    pem = public_pem(kind)
    der = private_key(kind).public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return {
        "as it is": pem.encode(),
        "stripped": pem.strip().encode(),
        "DER": der,
        "DER in base64": base64.b64encode(der),
    }


@each_row("kind", KEY_KINDS)
@each_row("how", public_key_texts("p256"))
def test_a_public_key_is_no_hmac_key(kind: str, how: str) -> None:
    forged = sign(HS256, CLAIMS, public_key_texts(kind)[how])
    assert reason_of(refusal(forged, public_key=public_pem(kind))) == "token_algorithm"
    assert reason_of(refusal(forged, public_key=public_pem(kind), secret=KEY)) == "token_signature"
    ours = sign(HS256, {**CLAIMS, "iss": "hfchat", "jti": "j"}, public_key_texts(kind)[how])
    assert reason_of(refusal(ours, public_key=public_pem(kind), secret=KEY)) == "token_signature"
    if how.startswith(("as", "stripped")):
        refusal(forged, secret=public_pem(kind).strip())


@pytest.mark.anyio
async def test_a_published_symmetric_key_is_no_key() -> None:
    secret = "k" * 43
    members = {"kty": "oct", "k": b64(secret.encode()), "kid": "k"}
    async with Provider(key_set(members, {**members, "alg": "HS256"}, jwk("rsa", kid="r"))) as provider:
        for keys in ({}, {"secret": KEY}):
            checks = verifier(jwks=Jwks(provider.url), **keys)
            for header in ({**HS256, "kid": "k"}, {**HS256, "alg": "RS256", "kid": "k"}, HS256):
                with pytest.raises(InvalidToken):
                    await checks.verify(sign(header, CLAIMS, secret))
            await checks.close()


ALGORITHMS = {
    **{f"alg {name}": f"{segment({**HS256, 'alg': name})}.{segment(CLAIMS)}." for name in ("none", "None", "NONE")},
    "alg none, signed": sign({"alg": "none"}, CLAIMS),
    "alg null": sign({"alg": None}, CLAIMS),
    "alg a list": sign({"alg": ["HS256"]}, CLAIMS),
    "alg an object": sign({"alg": {"HS256": 1}}, CLAIMS),
    "alg a number": sign({"alg": 256}, CLAIMS),
    "alg in small letters": sign({"alg": "hs256"}, CLAIMS),
    "alg empty": sign({"alg": ""}, CLAIMS),
    "HS384": sign({"alg": "HS384"}, CLAIMS, digest="sha384"),
    "HS512": sign({"alg": "HS512"}, CLAIMS, digest="sha512"),
    "RS256 over the HMAC": sign({"alg": "RS256"}, CLAIMS),
    "ES256 over the HMAC": sign({"alg": "ES256"}, CLAIMS),
    "ES512": sign({"alg": "ES512"}, CLAIMS),
    "ES256K": sign({"alg": "ES256K"}, CLAIMS),
    "an encryption": sign({"alg": "dir", "enc": "A256GCM"}, CLAIMS),
    "crit": sign({**HS256, "crit": ["exp"], "exp": 1}, CLAIMS),
    "crit empty": sign({**HS256, "crit": []}, CLAIMS),
    "b64": sign({**HS256, "b64": True}, CLAIMS),
    "b64 false": sign({**HS256, "b64": False}, CLAIMS),
    "zip": sign({**HS256, "zip": "DEF"}, CLAIMS),
    "embedded key": sign({**HS256, "jwk": {"kty": "oct", "k": "a"}}, CLAIMS),
    "key's address": sign({**HS256, "jku": "https://a.example"}, CLAIMS),
    "certificate": sign({**HS256, "x5c": ["MIIB"]}, CLAIMS),
    "kid a number": sign({**HS256, "kid": 5}, CLAIMS),
    **{
        f"typ {kind!r}": sign({**HS256, "typ": kind}, CLAIMS)
        for kind in ("JWE", "", "dpop+jwt", "logout+jwt", "secevent+jwt", "application/jwt+x", "JWT ", None, 5, ["JWT"])
    },
}


@each_row("token", ALGORITHMS.values(), ids=ALGORITHMS)
def test_the_header_chooses_nothing(token: str) -> None:
    assert detail(token) in ("token_algorithm", "token_malformed")
    assert detail(token, public_key=public_pem("rsa")) in ("token_algorithm", "token_malformed", "token_signature")


PUBLIC_HEADERS = {
    name: ALGORITHMS[name] for name in ALGORITHMS if name.startswith(("crit", "b64", "zip", "typ", "kid"))
}


@each_row("token", PUBLIC_HEADERS.values(), ids=PUBLIC_HEADERS)
def test_nor_does_it_under_a_public_key(token: str) -> None:
    head = json.loads(base64.urlsafe_b64decode(token.partition(".")[0] + "=="))
    signed_part = f"{segment({**head, 'alg': 'EdDSA'})}.{segment(CLAIMS)}"
    good = f"{signed_part}.{b64(private_key('ed25519').sign(signed_part.encode()))}"
    assert reason_of(refusal(good, public_key=public_pem("ed25519"))) in ("token_algorithm", "token_malformed")


@pytest.mark.parametrize("kind", ["JWT", "jwt", "at+jwt", "AT+JWT", "application/at+jwt"])
def test_a_token_may_say_what_kind_it_is(kind: str) -> None:
    assert verified(sign({"alg": "HS256", "typ": kind, "kid": "any"}, CLAIMS), secret=KEY).subject == "alice"
    assert verified(sign({"alg": "HS256"}, CLAIMS), secret=KEY).subject == "alice"
    assert verified(signed("EdDSA", CLAIMS, typ=kind), public_key=public_pem("ed25519")).subject == "alice"


FOREIGN_KEYS: dict[str, dict[str, Any]] = {
    "jwk": {"jwk": jwk("p256", 1)},
    "jku": {"jku": "http://127.0.0.1:9/jwks.json"},
    "x5u": {"x5u": "http://127.0.0.1:9/x.pem"},
    "x5c": {"x5c": ["MIIB"]},
    "kid, a path": {"kid": "../../dev/null"},
    "nonce and x5t": {"nonce": "a", "x5t": "b"},
}


@each_row("header", FOREIGN_KEYS.values(), ids=FOREIGN_KEYS)
def test_a_key_that_a_token_brings_along_is_not_looked_at(header: dict[str, Any]) -> None:
    pem = public_pem("p256")
    assert reason_of(refusal(signed("ES256", CLAIMS, number=1, **header), public_key=pem)) == "token_signature"
    assert verified(signed("ES256", CLAIMS, **header), public_key=pem).subject == "alice"


def test_the_allow_list_narrows_what_the_keys_may_check() -> None:
    rsa, pss = {"public_key": public_pem("rsa")}, signed("PS256", CLAIMS)
    assert verified(pss, **rsa, algorithms=frozenset({"PS256"})).subject == "alice"
    assert reason_of(refusal(signed("RS256", CLAIMS), **rsa, algorithms=frozenset({"PS256"}))) == "token_algorithm"
    assert reason_of(refusal(backend(), secret=KEY, **rsa, algorithms=frozenset({"PS256"}))) == "token_algorithm"
    ours = issue_token(KEY, "alice", ttl_s=60)
    assert reason_of(refusal(ours, secret=KEY, **rsa, algorithms=frozenset({"PS256"}))) == "token_algorithm"
    # What no key can check is not taken because a list names it.
    for named in ("HS256", "none", "ES256"):
        token = sign({**HS256, "alg": named}, CLAIMS)
        assert reason_of(refusal(token, **rsa, algorithms=frozenset({named, "RS256"}))) == "token_algorithm"
        assert reason_of(refusal(token, **rsa, algorithms=frozenset({named}))) in ("", "token_algorithm")


@pytest.mark.parametrize("token", ["", "x", backend(), issue_token(KEY, "alice", ttl_s=60), "a" * 10_000])
def test_without_a_key_nobody_is_let_in(token: str) -> None:
    assert reason_of(refusal(token)) == ""
    assert reason_of(refusal(token, issuer=ISSUER, algorithms=frozenset({"HS256", "RS256"}))) == ""


def test_a_public_key_that_is_none_is_an_error_at_once() -> None:
    with pytest.raises(ValueError, match="PEM"):
        verifier(public_key="ssh-rsa AAAA")


def test_both_a_secret_and_a_public_key_check_their_own() -> None:
    both = {"secret": KEY, "public_key": public_pem("p384")}
    assert verified(backend(sub="bob"), **both).subject == "bob"
    assert verified(signed("ES384", CLAIMS), **both).subject == "alice"
    assert verified(issue_token(KEY, "carol", ttl_s=60), **both).issuer == "hfchat"


@pytest.mark.parametrize("secret", ["short", "a" * 31])
def test_a_short_secret_checks_nothing(secret: str) -> None:
    refusal(sign(HS256, CLAIMS, secret), secret=secret)


def test_our_own_tokens_are_read_as_strictly_as_ever() -> None:
    ours = {**CLAIMS, "iss": "hfchat", "jti": "j1"}
    assert verified(sign(HS256, ours), secret=KEY) == Caller("alice", "j1", NOW + 3600, POLICY)
    strict = {
        "token_claim_unknown|aud": sign(HS256, {**ours, "aud": "x"}),
        "token_claim_missing|jti": sign(HS256, {**CLAIMS, "iss": "hfchat"}),
        "token_claim_wrong|sub": sign(HS256, {**ours, "sub": 42}),
        "token_algorithm": sign({**HS256, "kid": "a"}, ours),
        "token_signature": sign(HS256, ours, KEY[::-1]),
    }
    for said, token in strict.items():
        assert detail(token, issuer="x", audience="y", subject_claim="id") == said
    assert verified(sign(HS256, ours), secret=KEY, issuer="x", audience="y", subject_claim="id").subject == "alice"
    assert verified(issue_token(KEY, "a", ttl_s=60, scopes=("admin",)), secret=KEY).scopes == {"admin"}


def test_nobody_else_is_hfchat() -> None:
    for alg, kind in PUBLIC:
        token = signed(alg, {**CLAIMS, "iss": "hfchat", "jti": "j1"}, kind=kind)
        assert reason_of(refusal(token, public_key=public_pem(kind), secret=KEY)) == "token_claim_wrong|iss"
        assert reason_of(refusal(token, public_key=public_pem(kind), issuer="hfchat")) == "token_claim_wrong|iss"


def test_the_same_name_at_two_issuers_is_two_people() -> None:
    others = [caller(iss=issuer) for issuer in ("https://a.example", "https://b.example", "HFCHAT")]
    nameless = verified(lacking("iss"), secret=KEY)
    ours = verified(issue_token(KEY, "alice", ttl_s=60), secret=KEY)
    people = {(person.issuer, person.subject) for person in (*others, nameless, ours)}
    assert people == {(i, "alice") for i in ("https://a.example", "https://b.example", "HFCHAT", "", "hfchat")}
    assert len({person.token_id for person in (*others, nameless, ours)}) == 5


def test_a_backend_that_shares_the_secret_names_people_by_number() -> None:
    alice = verified(sign(HS256, BACKEND), secret=KEY, subject_claim="id")
    assert alice == Caller("42", alice.token_id, NOW + 3600, POLICY, frozenset({"chat"}), "")
    assert verified(sign(HS256, BACKEND), secret=KEY, subject_claim="email").subject == "alice@example.org"
    assert detail(sign(HS256, BACKEND)) == "token_claim_missing|sub"


NAMES = [("text", "José", "José"), ("number", 42, "42"), ("nought", 0, "0"), ("long number", 10**254, "1" + "0" * 254)]


@pytest.mark.parametrize(("written", "subject"), [row[1:] for row in NAMES], ids=[row[0] for row in NAMES])
def test_a_person_has_a_name_or_a_number(written: Any, subject: str) -> None:
    assert caller(sub=written).subject == subject


NO_NAMES = ["", " ", "a ", "a\nb", "a\u202e", "\ud800", "a" * 256, True, False, 4.2, ["a"], {"a": 1}, 10**255]


@each_row("written", NO_NAMES, ids=[repr(name)[:20] for name in NO_NAMES])
def test_what_is_no_name_is_refused(written: object) -> None:
    assert detail(backend(sub=written)) == "token_claim_wrong|sub"
    assert detail(backend(uid=written), subject_claim="uid") == "token_claim_wrong|uid"


@pytest.mark.parametrize("claim", ["exp", "sub"])
def test_a_required_claim_must_be_there(claim: str) -> None:
    assert detail(lacking(claim)) == detail(backend(**{claim: None})) == f"token_claim_missing|{claim}"


@pytest.mark.parametrize("subject_claim", ["id", "https://app.example/user", "preferred_username"])
def test_the_claim_that_names_the_person_must_be_there(subject_claim: str) -> None:
    assert detail(backend(), subject_claim=subject_claim) == f"token_claim_missing|{subject_claim}"
    assert verified(backend(**{subject_claim: "bob"}), secret=KEY, subject_claim=subject_claim).subject == "bob"


def test_an_address_that_nobody_verified_names_nobody() -> None:
    given: dict[str, Any] = {"secret": KEY, "subject_claim": "email"}
    assert verified(backend(email="a@b.c", email_verified=True), **given).subject == "a@b.c"
    assert verified(backend(email="a@b.c"), **given).subject == "a@b.c"
    assert caller(email_verified=False).subject == "alice", "it is about the address alone"
    for unverified in (False, None, "true", 1, [True]):
        token = backend(email="a@b.c", email_verified=unverified)
        assert reason_of(refusal(token, **given)) == "token_claim_wrong|email_verified"


ISSUERS = [
    ("as required", ISSUER, ISSUER, None),
    ("none required", ISSUER, None, None),
    ("without its slash", ISSUER[:-1], ISSUER, "token_claim_wrong|iss"),
    ("in capitals", ISSUER.upper(), ISSUER, "token_claim_wrong|iss"),
    ("longer", f"{ISSUER}x", ISSUER, "token_claim_wrong|iss"),
    ("another", "https://evil.example", ISSUER, "token_claim_wrong|iss"),
    ("a list", [ISSUER], ISSUER, "token_claim_wrong|iss"),
    ("a list, none required", [ISSUER], None, "token_claim_wrong|iss"),
    ("a number", 5, None, "token_claim_wrong|iss"),
    ("an object", {"a": 1}, None, "token_claim_wrong|iss"),
    ("empty", "", None, "token_claim_wrong|iss"),
    ("empty and required", "", ISSUER, "token_claim_wrong|iss"),
    ("null", None, None, "token_claim_wrong|iss"),
    ("null and required", None, ISSUER, "token_claim_missing|iss"),
    ("with a line break", "https://a\nb", None, "token_claim_wrong|iss"),
    ("with a separator", "a\x1fb", None, "token_claim_wrong|iss"),
]


@each_row(("written", "required", "wrong"), [row[1:] for row in ISSUERS], ids=[row[0] for row in ISSUERS])
def test_the_issuer_is_the_required_one_to_the_letter(written: Any, required: str | None, wrong: str | None) -> None:
    if wrong is None:
        assert verified(backend(iss=written), secret=KEY, issuer=required).issuer == written
    else:
        assert detail(backend(iss=written), issuer=required) == wrong


def test_an_issuer_may_be_left_out_where_none_is_required() -> None:
    assert verified(lacking("iss"), secret=KEY).issuer == ""
    assert detail(lacking("iss"), issuer=ISSUER) == "token_claim_missing|iss"


AUDIENCES = [
    ("as required", "chat", "chat", None),
    ("among others", ["mail", "chat"], "chat", None),
    ("none required", ["mail"], None, None),
    ("none required, no text", 5, None, None),
    ("another", "mail", "chat", "token_claim_wrong|aud"),
    ("others", ["mail", "files"], "chat", "token_claim_wrong|aud"),
    ("part of one", "chatter", "chat", "token_claim_wrong|aud"),
    ("in capitals", "CHAT", "chat", "token_claim_wrong|aud"),
    ("an empty list", [], "chat", "token_claim_wrong|aud"),
    ("a list with more than texts", ["chat", 5], "chat", "token_claim_wrong|aud"),
    ("a list in a list", [["chat"]], "chat", "token_claim_wrong|aud"),
    ("an object", {"chat": 1}, "chat", "token_claim_wrong|aud"),
    ("true", True, "chat", "token_claim_wrong|aud"),
    ("null", None, "chat", "token_claim_missing|aud"),
]


@each_row(("written", "required", "wrong"), [r[1:] for r in AUDIENCES], ids=[r[0] for r in AUDIENCES])
def test_the_audience_is_among_those_of_the_token(written: Any, required: str | None, wrong: str | None) -> None:
    if wrong is None:
        assert verified(backend(aud=written), secret=KEY, audience=required).subject == "alice"
    else:
        assert detail(backend(aud=written), audience=required) == wrong
    assert detail(backend(), audience="chat") == "token_claim_missing|aud"


SCOPES = ["chat", "admin", "chat admin", "openid profile email", "", None, 5, True, ["chat"], ["admin"], {"chat": 1}]


@each_row("scope", SCOPES, ids=repr)
@each_row("claim", ["scope", "scp"])
def test_a_scope_that_nobody_wrote_for_us_lets_chat_and_makes_no_admin(claim: str, scope: object) -> None:
    assert caller(**{claim: scope}).scopes == {"chat"}
    public = signed("EdDSA", {**CLAIMS, claim: scope})
    assert verified(public, public_key=public_pem("ed25519")).scopes == {"chat"}


REQUIRED_SCOPES: dict[str, tuple[dict[str, object], bool]] = {
    "alone": ({"scope": "llm:use"}, True),
    "among others": ({"scope": "openid llm:use email"}, True),
    "in a list": ({"scope": ["openid", "llm:use"]}, True),
    "scp, as Entra ID writes it": ({"scp": "User.Read llm:use"}, True),
    "scp, as Okta writes it": ({"scp": ["openid", "llm:use"]}, True),
    "in one of both": ({"scope": "openid", "scp": ["llm:use"]}, True),
    "permissions, as Auth0 writes them": ({"scope": "openid", "permissions": ["llm:use"]}, True),
    "absent": ({}, False),
    "another": ({"scope": "openid profile"}, False),
    "part of one": ({"scope": "llm:user llm"}, False),
    "in capitals": ({"scope": "LLM:USE"}, False),
    "null": ({"scope": None, "scp": None}, False),
    "no text": ({"scope": {"llm:use": 1}, "scp": [5, ["llm:use"]]}, False),
    "as a role": ({"roles": ["llm:use"]}, False),
}


@each_row(("claims", "enough"), REQUIRED_SCOPES.values(), ids=REQUIRED_SCOPES)
def test_a_required_scope_is_required_of_others_tokens(claims: dict[str, object], enough: bool) -> None:
    required: dict[str, Any] = {"secret": KEY, "required_scope": "llm:use"}
    if enough:
        assert verified(backend(**claims), **required).scopes == {"chat"}
        return
    refused = refusal(backend(**claims), InsufficientScope, **required)
    assert (reason_of(refused), refused.subject) == ("scope_missing|llm:use", "alice")
    assert refusal(backend(**claims, exp=5), ExpiredToken, **required)


def test_a_required_scope_is_not_required_of_our_own_tokens_and_makes_no_admin() -> None:
    ours = issue_token(KEY, "alice", ttl_s=60)
    assert verified(ours, secret=KEY, required_scope="llm:use").subject == "alice"
    assert verified(backend(scope="admin"), secret=KEY, required_scope="admin").scopes == {"chat"}


NO_TIMES: dict[str, object] = {
    "a text": str(NOW + 60),
    "true": True,
    "a list": [NOW],
    "an object": {},
    "NaN": float("nan"),
    "infinity": float("inf"),
    "before 1970": -1,
    "after the end of time": MAX_TIME + 1,
    "400 digits": 10**399,
}


@each_row("claim", ["exp", "nbf", "iat"])
@each_row("value", NO_TIMES.values(), ids=NO_TIMES)
def test_a_time_is_a_number_of_seconds(claim: str, value: object) -> None:
    assert detail(backend(**{claim: value})) == f"token_claim_wrong|{claim}"


def test_a_null_nbf_is_wrong_and_an_absent_iat_is_none() -> None:
    assert detail(backend(nbf=None)) == "token_claim_wrong|nbf"
    assert verified(lacking("iat"), secret=KEY).subject == "alice"


# exp, nbf, iat against a clock that says 1000, and what comes of it
TIMES = [
    ("good", {"exp": 1001, "nbf": 1000, "iat": 1000}, None),
    ("a fraction left", {"exp": 1000.5}, None),
    ("ended just now", {"exp": 1000}, "expired_token"),
    ("ended within the leeway", {"exp": 999}, "expired_token"),
    ("ended long ago", {"exp": 0}, "expired_token"),
    ("begins within the leeway", {"nbf": 1060}, None),
    ("begins later", {"nbf": 1061}, "token_early"),
    ("issued within the leeway", {"iat": 1060}, None),
    ("issued later", {"iat": 1061}, "token_early"),
    ("ended before it began", {"nbf": 2000, "exp": 500}, "token_early"),
]


@each_row(("times", "wrong"), [row[1:] for row in TIMES], ids=[row[0] for row in TIMES])
def test_clocks_may_differ_a_little_but_an_end_is_an_end(times: dict[str, Any], wrong: str | None) -> None:
    claims = {"sub": "alice", "exp": 5000, **times}
    for token, key in (
        (sign(HS256, claims), {"secret": KEY}),
        (signed("EdDSA", claims), {"public_key": public_pem("ed25519")}),
    ):
        if wrong is None:
            assert verified(token, now=1000, **key).expires_at == claims["exp"]
        elif wrong == "expired_token":
            past = refusal(token, ExpiredToken, now=1000, **key)
            assert past.subject == "alice"
            assert past.token_id == verified(token, now=-1, **key).token_id
        else:
            assert reason_of(refusal(token, now=1000, **key)) == wrong


def test_the_clock_holds_for_our_own_tokens_too() -> None:
    ours = issue_token(KEY, "alice", ttl_s=100, now=1000)
    assert verified(ours, now=1099, secret=KEY).subject == "alice"
    assert refusal(ours, ExpiredToken, now=1100, secret=KEY).subject == "alice"
    assert reason_of(refusal(ours, now=900, secret=KEY)) == "token_early"


def test_only_a_good_token_is_said_to_have_expired() -> None:
    assert detail(sign(HS256, {**CLAIMS, "exp": 5}, KEY[::-1])) == "token_signature"
    assert detail(backend(exp=5, iss="x"), issuer=ISSUER) == "token_claim_wrong|iss"
    assert detail(backend(exp=5, aud="x"), audience="y") == "token_claim_wrong|aud"
    assert detail(backend(exp=5, hfchat=5)) == "token_claim_wrong|hfchat"


def test_a_policy_narrows_what_the_owner_allows() -> None:
    claim = {"models": ["c/d", "x/y"], "rate": "5/minute", "budget": "10/month", "streams": 9, "max_tokens": 100}
    expected = replace(
        POLICY,
        default_model="c/d",
        models=frozenset({"c/d"}),
        max_tokens=100,
        default_tokens=100,
        rate=(Limit(5, "minute"),),
        budget=(Limit(200_000, "day"), Limit(10, "month")),
    )
    assert caller(hfchat=claim).policy == expected
    public = signed("ES256", {**CLAIMS, "hfchat": claim})
    assert verified(public, public_key=public_pem("p256")).policy == expected
    assert caller(hfchat={}).policy == caller().policy == POLICY


WRONG_POLICIES = {
    "hfchat": [5, None, "x", [], True],
    "hfchat.rate": [{"rate": 5}, {"rate": "5/fortnight"}, {"rate": None}],
    "hfchat.models": [{"models": []}, {"models": "a/b"}, {"models": ["http://a.example"]}],
    "hfchat.streams": [{"streams": 0}, {"streams": True}, {"streams": "2"}],
}


@pytest.mark.parametrize("name", WRONG_POLICIES)
def test_a_policy_that_is_not_exactly_one_is_refused(name: str) -> None:
    for claim in WRONG_POLICIES[name]:
        assert detail(backend(hfchat=claim)) == f"token_claim_wrong|{name}"
    assert detail(backend(hfchat={"speed": 1})) == "token_claim_unknown|hfchat.speed"


def test_other_claims_are_the_providers_own_business() -> None:
    claims = {"jti": "a", "azp": "b", "roles": ["admin"], "admin": True, "cnf": {}, "": 1, "sid": "c", "at_hash": "d"}
    assert caller(**claims) == replace(caller(), token_id=caller(jti="a").token_id)


def other_signature(token: str) -> str:
    """The token with the second signature that anybody can make of an ECDSA one: (r, -s)."""
    signed_part, _, signature = token.rpartition(".")
    raw = base64.urlsafe_b64decode(signature + "==")
    order = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
    twin = raw[:32] + (order - int.from_bytes(raw[32:], "big")).to_bytes(32, "big")
    return f"{signed_part}.{b64(twin)}"


def test_another_signature_of_a_token_is_the_same_token() -> None:
    token, pem = signed("ES256", CLAIMS), public_pem("p256")
    twin, again = other_signature(token), signed("ES256", CLAIMS)
    assert len({token, twin, again}) == 3
    ids = {verified(each, public_key=pem).token_id for each in (token, twin, again)}
    assert len(ids) == 1
    assert ids.pop().startswith("x-")


def test_each_token_has_an_id_of_its_own() -> None:
    ids = [caller(**more).token_id for more in ({}, {"sub": "bob"}, {"exp": NOW + 7200}, {"jti": "a"}, {"jti": "b"})]
    ids += [caller(**more).token_id for more in ({"jti": 5}, {"jti": None})]
    ids += [caller(jti="", sub=subject).token_id for subject in ("alice", "bob")]
    ids.append(verified(signed("ES256", CLAIMS), public_key=public_pem("p256")).token_id)
    assert len(set(ids)) == 10
    made = [token_id for token_id in ids if token_id not in ("a", "b")]
    assert all(len(token_id) == 34 and token_id.startswith("x-") and token_id.isascii() for token_id in made)


def test_a_token_with_an_id_is_known_by_it() -> None:
    """So whoever revokes it by the id that its issuer knows revokes it."""
    assert caller(jti="node-123").token_id == caller(jti="node-123", exp=NOW + 7200, sub="bob").token_id == "node-123"
    assert caller(jti="\ud800").token_id.startswith("x-")
    assert caller(jti="a\nb").token_id.startswith("x-")


@each_row("last", "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_=")
def test_no_writing_of_the_signature_makes_another_id(last: str) -> None:
    token = backend()
    try:
        token_id = verified(token[:-1] + last, secret=KEY).token_id
    except InvalidToken:
        return
    assert (token_id, last) == (caller().token_id, token[-1])


@pytest.mark.anyio
async def test_a_key_that_is_rotated_out_ends_its_tokens() -> None:
    clock = [1000.0]
    async with Provider(key_set(jwk("p256", kid="a"))) as provider:
        checks = verifier(jwks=Jwks(provider.url, clock=lambda: clock[0]), secret=KEY)
        old, new = signed("ES256", CLAIMS, kid="a"), signed("ES256", CLAIMS, number=1, kid="b")
        assert (await checks.verify(old)).subject == "alice"
        provider.answer = key_set(jwk("p256", 1, kid="b"))
        clock[0] += 30
        results = await asyncio.gather(*[checks.verify(new) for _ in range(1000)])
        assert len({alice.token_id for alice in results}) == 1
        assert len(provider.asked) == 2
        with pytest.raises(InvalidToken, match="token_key_unknown"):
            await checks.verify(old)
        assert (await checks.verify(backend())).subject == "alice"
        await checks.close()


@pytest.mark.anyio
async def test_what_is_no_token_is_no_reason_to_ask_the_provider() -> None:
    async with Provider(key_set(jwk("p256", kid="a"))) as provider:
        checks = verifier(jwks=Jwks(provider.url))
        for token in (
            "",
            "a.b.c",
            backend(),
            f"{signed('ES256', CLAIMS)}=",
            "a" * 9000,
            signed("ES256", CLAIMS, typ="x"),
        ):
            with pytest.raises(InvalidToken):
                await checks.verify(token)
        assert provider.asked == []
        await checks.close()


HEAD, BODY, SIGNATURE = backend().split(".")
FORM = {
    "empty": "",
    "one segment": HEAD,
    "two segments": f"{HEAD}.{BODY}",
    "five segments": f"{HEAD}.{BODY}.{SIGNATURE}.{SIGNATURE}.{SIGNATURE}",
    "padding": f"{backend()}=",
    "space": f" {backend()}",
    "line break": f"{backend()}\n",
    "unicode": f"{HEAD}.{BODY}é.{SIGNATURE}",
    "lone surrogate": f"{backend()}\ud800",
    "header no object": sign([HS256], CLAIMS),
    "header without alg": sign({"typ": "JWT"}, CLAIMS),
    "header nested deep": sign(b"[" * 4000, CLAIMS),
    "claims no object": sign(HS256, [CLAIMS]),
    "claims no UTF-8": sign(HS256, b'{"sub":"\xff"}'),
    "claims nested deep": sign(HS256, b"[" * 4000),
    "claims with a number of 5000 digits": sign(HS256, b'{"exp":' + b"9" * 5000 + b"}"),
}


@each_row("token", FORM.values(), ids=FORM)
def test_what_has_not_the_form_of_a_token_is_refused(token: str) -> None:
    assert detail(token, public_key=public_pem("rsa")) == "token_malformed"


def test_what_is_over_16_kb_is_refused_for_its_length() -> None:
    assert detail("a" * (MAX_TOKEN_BYTES + 1)) == detail(backend(more="x" * 15_000)) == "token_too_long"
    assert caller(more="x" * 5500).subject == "alice"


def taken_or_refused(token: str) -> None:
    try:
        person = verified(token, secret=KEY, public_key=public_pem("ed25519"))
    except (InvalidToken, ExpiredToken) as error:
        refused = error
    else:
        assert person.subject.isprintable()
        assert "admin" not in person.scopes
        assert not person.expired(time.time())
        assert person.token_id.startswith("x-")
        return
    assert say(refused, "es")[0]


@FUZZ
@given(st.text(alphabet=st.characters(codec=None)))
def test_any_text_is_refused_in_order(text: str) -> None:
    taken_or_refused(text)


@FUZZ
@given(st.lists(st.binary(max_size=60), min_size=3, max_size=3))
def test_any_three_segments_are_refused_in_order(parts: list[bytes]) -> None:
    taken_or_refused(".".join(map(b64, parts)))


@FUZZ
@given(ANY_JSON, ANY_JSON)
def test_any_header_and_claims_are_taken_or_refused(header: Any, claims: Any) -> None:
    taken_or_refused(sign(header, CLAIMS))
    taken_or_refused(sign(HS256, claims))


@FUZZ
@given(st.sampled_from(["alg", "typ", "kid", "crit", "b64", "jwk", "jku", "x5c", "zip"]), ANY_JSON)
def test_any_value_of_a_header_is_taken_or_refused(name: str, value: Any) -> None:
    taken_or_refused(sign({**HS256, name: value}, CLAIMS))
    signed_part = f"{segment({'alg': 'EdDSA', name: value})}.{segment(CLAIMS)}"
    taken_or_refused(f"{signed_part}.{b64(private_key('ed25519').sign(signed_part.encode()))}")


@FUZZ
@given(st.sampled_from(["sub", "iss", "aud", "iat", "exp", "jti", "scope", "scp", "nbf", "hfchat", "azp"]), ANY_JSON)
def test_any_value_of_a_claim_is_taken_or_refused(claim: str, value: Any) -> None:
    taken_or_refused(backend(**{claim: value}))
    claims = segment({**CLAIMS, claim: value})
    signed_part = f"{segment({'alg': 'EdDSA'})}.{claims}"
    taken_or_refused(f"{signed_part}.{b64(private_key('ed25519').sign(signed_part.encode()))}")


@FUZZ
@given(st.sampled_from(sorted(KINDS)), st.binary(max_size=300))
def test_any_signature_is_refused(alg: str, signature: bytes) -> None:
    token = f"{segment({'alg': alg})}.{segment(CLAIMS)}.{b64(signature)}"
    refusal(token, public_key=public_pem(KINDS[alg]))


SHOWN = ALGORITHMS | FORM | {"another key": sign(HS256, CLAIMS, KEY[::-1]), "another person": backend(sub=5)}


@each_row("token", SHOWN.values(), ids=SHOWN)
def test_no_error_shows_the_token_or_the_key(token: str) -> None:
    with pytest.raises(InvalidToken) as refused:
        verified(token, secret=KEY, issuer="x")
    for error in chain(refused.value):
        shown = f"{error} {error!r}"
        assert KEY not in shown
        assert all(part not in shown for part in token.split(".") if len(part) > 20)
