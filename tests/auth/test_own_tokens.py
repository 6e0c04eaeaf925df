"""Tokens: what is issued is taken, and whatever is not exactly right is refused, for the reason that is said."""

import hashlib
import json
import time
import tracemalloc
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from hypothesis import given
from hypothesis import strategies as st

from hfchat.auth.claims import MAX_TIME
from hfchat.auth.own_tokens import MAX_TOKEN_BYTES, issue_token, verify_token
from hfchat.auth.policy import PolicyClaim
from hfchat.errors import ExpiredToken, HfchatError, InvalidToken
from hfchat.http.error_response import say
from hfchat.limits import Limit
from hfchat.types import Caller, Policy
from tests.conftest import KEY, make_token
from tests.support.errors import reason_of
from tests.support.fuzz import ANY_JSON, FUZZ, chain
from tests.support.handmade_tokens import b64, segment, sign
from tests.support.rows import each_row

NOW = int(time.time())
CLAIMS: dict[str, Any] = {
    "sub": "alice",
    "iss": "hfchat",
    "iat": NOW - 10,
    "exp": NOW + 3600,
    "jti": "j1",
    "scope": "chat",
}
HEADER: dict[str, Any] = {"alg": "HS256", "typ": "JWT"}
OTHER_KEY = KEY[::-1]


POLICY = Policy(
    default_model="a/b",
    models=frozenset({"a/b", "c/d"}),
    max_tokens=1024,
    rate=(Limit(30, "minute"),),
    budget=(Limit(200_000, "day"),),
    streams=4,
)


def verify(token: str, key: str = KEY) -> Caller:
    return verify_token(key, token, POLICY)


def claims_with(**changed: Any) -> str:
    return sign(HEADER, {**CLAIMS, **changed})


def header_with(**changed: Any) -> str:
    return sign({**HEADER, **changed}, CLAIMS)


def refusal(token: str, kind: type[HfchatError] = InvalidToken, key: str = KEY) -> HfchatError:
    with pytest.raises(kind) as refused:
        verify(token, key)
    return refused.value


def flipped(token: str, place: int) -> str:
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    return token[:place] + alphabet[alphabet.index(token[place]) ^ 1] + token[place + 1 :]


GOOD = sign(HEADER, CLAIMS)
HEAD, BODY, SIGNATURE = GOOD.split(".")


def test_the_tokens_made_by_hand_here_are_otherwise_good() -> None:
    caller = verify(GOOD)
    assert caller == Caller("alice", "j1", NOW + 3600, POLICY, frozenset({"chat"}), "hfchat")


@each_row("subject", ["alice", "a", "José Núñez", "日本", "a" * 255, "x@example.org", "🙂"])
def test_what_is_issued_is_taken(subject: str) -> None:
    caller = verify(issue_token(KEY, subject, ttl_s=3600, scopes=("chat", "admin"), now=NOW))
    assert caller == Caller(subject, caller.token_id, NOW + 3600, POLICY, frozenset({"chat", "admin"}))


def test_an_issued_token_carries_the_promised_claims() -> None:
    token = issue_token(KEY, "alice", ttl_s=60, now=1000)
    claims = jwt.decode(token, KEY, algorithms=["HS256"], options={"verify_exp": False})
    assert claims.pop("jti")
    assert claims == {"sub": "alice", "iss": "hfchat", "iat": 1000, "exp": 1060, "scope": "chat"}
    assert jwt.get_unverified_header(token) == {"alg": "HS256", "typ": "JWT"}


def test_each_token_has_an_id_of_its_own() -> None:
    assert len({verify(make_token()).token_id for _ in range(50)}) == 50


NOT_ISSUED: dict[str, dict[str, Any]] = {
    "no subject": {"subject": ""},
    "long subject": {"subject": "a" * 256},
    "line break": {"subject": "a\nb"},
    "NUL": {"subject": "a\x00"},
    "space around": {"subject": " alice"},
    "no time": {"ttl_s": 0},
    "time back": {"ttl_s": -5},
    "no scope": {"scopes": ()},
    "other scope": {"scopes": ("chat", "root")},
}


@each_row("wrong", NOT_ISSUED.values(), ids=NOT_ISSUED)
def test_no_token_is_issued_that_would_not_be_taken(wrong: dict[str, Any]) -> None:
    asked: dict[str, Any] = {"subject": "alice", "ttl_s": 60, **wrong}
    with pytest.raises(ValueError, match=r"subject|scopes|time"):
        issue_token(KEY, **asked)


# --- forgeries

FORM = {
    "empty": "",
    "one segment": HEAD,
    "two segments": f"{HEAD}.{BODY}",
    "no header": f".{BODY}.{SIGNATURE}",
    "no claims": f"{HEAD}..{SIGNATURE}",
    "only dots": "..",
    "two signatures": f"{GOOD}.{SIGNATURE}",
    "five segments, like a JWE": f"{HEAD}.{BODY}.{SIGNATURE}.{SIGNATURE}.{SIGNATURE}",
    "JSON serialization": json.dumps({"payload": BODY, "protected": HEAD, "signature": SIGNATURE}),
    "with its scheme": f"Bearer {GOOD}",
    "space before": f" {GOOD}",
    "line break after": f"{GOOD}\n",
    "space in the header": f"{HEAD[:5]} {HEAD[5:]}.{BODY}.{SIGNATURE}",
    "space in the signature": f"{HEAD}.{BODY}.{SIGNATURE[:9]} {SIGNATURE[9:]}",
    "line break in the signature": f"{HEAD}.{BODY}.{SIGNATURE[:9]}\n{SIGNATURE[9:]}",
    "junk in the signature": f"{HEAD}.{BODY}.{SIGNATURE[:9]}!{SIGNATURE[9:]}",
    "padding on the header": f"{HEAD}=.{BODY}.{SIGNATURE}",
    "padding on the signature": f"{GOOD}=",
    "standard alphabet": GOOD.replace("-", "+").replace("_", "/") + "+/",
    "unicode": f"{HEAD}.{BODY}é.{SIGNATURE}",
    "unicode digits": f"{HEAD}.{BODY}١.{SIGNATURE}",
    "lone surrogate": f"{GOOD}\ud800",
    "NUL after": f"{GOOD}\x00",
    "NUL inside": f"{HEAD}\x00.{BODY}.{SIGNATURE}",
    "header no JSON": sign(b"{", CLAIMS),
    "header no object": sign([HEADER], CLAIMS),
    "header no UTF-8": sign(b'{"alg":"HS256","typ":"\xff"}', CLAIMS),
    "header nested deep": sign(b"[" * 4000, CLAIMS),
    "header without alg": sign({"typ": "JWT"}, CLAIMS),
    "claims no JSON": sign(HEADER, b"{"),
    "claims no object": sign(HEADER, [CLAIMS]),
    "claims a text": sign(HEADER, "alice"),
    "claims no UTF-8": sign(HEADER, b'{"sub":"\xff"}'),
    "claims nested deep": sign(HEADER, b"[" * 4000),
    "claims with a number of 5000 digits": sign(HEADER, b'{"exp":' + b"9" * 5000 + b"}"),
}
ALGORITHM = {
    **{f"alg {name}": f"{segment({**HEADER, 'alg': name})}.{BODY}." for name in ("none", "None", "NONE", "nOnE")},
    "alg none with a signature": header_with(alg="none"),
    "alg null": header_with(alg=None),
    "alg a list": header_with(alg=["HS256"]),
    "alg in small letters": header_with(alg="hs256"),
    "alg with a space": header_with(alg="HS256 "),
    "HS384": sign({**HEADER, "alg": "HS384"}, CLAIMS, digest="sha384"),
    "HS512": sign({**HEADER, "alg": "HS512"}, CLAIMS, digest="sha512"),
    "HS512 signed as HS256": header_with(alg="HS512"),
    "RS256 over our own HMAC": header_with(alg="RS256"),
    "ES256": header_with(alg="ES256"),
    "EdDSA": header_with(alg="EdDSA"),
    "embedded key": header_with(jwk={"kty": "oct", "k": b64(OTHER_KEY.encode())}),
    "key's address": header_with(jku="https://keys.example.org/jwks.json"),
    "certificate's address": header_with(x5u="https://keys.example.org/x.pem"),
    "certificate": header_with(x5c=["MIIB"]),
    "kid, a path": header_with(kid="../../../../dev/null"),
    "kid, SQL": header_with(kid="x' UNION SELECT 'key' --"),
    "unencoded payload": header_with(b64=True),
    "zip": header_with(zip="DEF"),
    "cty": header_with(cty="JWT"),
    "typ of another kind of token": header_with(typ="at+jwt"),
    "typ of an encrypted one": header_with(typ="JWE"),
    "typ a number": header_with(typ=5),
    "typ null": header_with(typ=None),
    "alg twice, the last is none": sign(b'{"alg":"HS256","alg":"none"}', CLAIMS),
}
SIGNED_BY_ANOTHER = {
    "another key": sign(HEADER, CLAIMS, OTHER_KEY),
    "no key": sign(HEADER, CLAIMS, ""),
    "half our key": sign(HEADER, CLAIMS, KEY[:21]),
    "our key and more": sign(HEADER, CLAIMS, f"{KEY}A"),
    "no signature": f"{HEAD}.{BODY}.",
    "signature longer": f"{GOOD}A",
    "the signature of other claims": f"{HEAD}.{BODY}.{claims_with(sub='bob').rpartition('.')[2]}",
    "other claims under our signature": f"{HEAD}.{segment({**CLAIMS, 'sub': 'bob'})}.{SIGNATURE}",
    "hash without key": f"{HEAD}.{BODY}.{b64(hashlib.sha256(f'{HEAD}.{BODY}'.encode()).digest())}",
}


@each_row("token", FORM.values(), ids=FORM)
def test_what_has_not_the_form_of_a_token_is_refused(token: str) -> None:
    assert reason_of(refusal(token)) == "token_malformed"


@each_row("token", ALGORITHM.values(), ids=ALGORITHM)
def test_the_header_chooses_neither_algorithm_nor_key(token: str) -> None:
    assert reason_of(refusal(token)) == "token_algorithm"


@each_row(
    "token",
    [
        sign({"alg": "HS256", "crit": ["b64"], "b64": False}, CLAIMS),
        f"{segment({'alg': 'HS256', 'crit': ['b64'], 'b64': False})}..{SIGNATURE}",
        header_with(b64=False),
        header_with(crit=["b64"]),
        header_with(crit=["exp"], exp=1),
        header_with(kid=5),
    ],
    ids=["b64 false, crit", "b64 false, detached", "b64 false", "crit b64", "crit exp", "kid a number"],
)
def test_an_extension_is_refused_wherever_it_is_noticed(token: str) -> None:
    assert reason_of(refusal(token)) in ("token_algorithm", "token_malformed")


@each_row("token", SIGNED_BY_ANOTHER.values(), ids=SIGNED_BY_ANOTHER)
def test_what_our_key_did_not_sign_is_refused(token: str) -> None:
    assert reason_of(refusal(token)) == "token_signature"


def test_a_public_key_is_no_hmac_key() -> None:
    private = rsa.generate_private_key(65537, 2048)
    public = private.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    assert reason_of(refusal(sign(HEADER, CLAIMS, public))) == "token_signature"
    assert reason_of(refusal(sign({**HEADER, "alg": "RS256"}, CLAIMS, public))) == "token_algorithm"
    assert reason_of(refusal(jwt.encode(CLAIMS, private, algorithm="RS256"))) == "token_algorithm"
    # And where the public key is the server's own by mistake, nobody who knows it can sign.
    refusal(sign(HEADER, CLAIMS, public), key=public.decode())


@pytest.mark.parametrize("key", ["", "short", "a" * 31])
def test_a_short_key_verifies_nothing(key: str) -> None:
    refusal(sign(HEADER, CLAIMS, key), key=key)


@each_row("place", [place for place, letter in enumerate(GOOD) if letter != "."])
def test_a_single_bit_is_enough_to_spoil_a_token(place: int) -> None:
    refusal(flipped(GOOD, place))


@each_row("cut", range(0, len(GOOD), 7))
def test_a_part_of_a_token_is_none(cut: int) -> None:
    refusal(GOOD[:cut])
    if cut:
        refusal(GOOD[cut:])


@pytest.mark.parametrize(
    "what",
    ["a." * 8193, "a" * (MAX_TOKEN_BYTES + 1), f"{GOOD}{'A' * MAX_TOKEN_BYTES}"],
    ids=["dots", "a's", "a long tail"],
)
def test_what_is_over_16_kb_is_refused_for_its_length(what: str) -> None:
    assert reason_of(refusal(what)) == "token_too_long"


def test_what_is_just_under_16_kb_is_read() -> None:
    padding = "x" * 11_500
    assert reason_of(refusal(claims_with(other=padding))) == "token_claim_unknown|other"
    assert reason_of(refusal("a." * 4096)) == "token_malformed"


@pytest.mark.parametrize("piece", ["a.", "é", "\x00"], ids=["dots", "unicode", "NUL"])
def test_100_mb_cost_nothing(piece: str) -> None:
    huge = piece * (100_000_000 // len(piece))
    tracemalloc.start()
    began = time.process_time()
    refusal(huge)
    took_s = time.process_time() - began
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert took_s < 0.1
    assert peak < 1_000_000


# --- claims

NUMBERS_THAT_ARE_NO_TIME = {
    "text": str(NOW + 60),
    "empty text": "",
    "true": True,
    "false": False,
    "list": [NOW + 60],
    "object": {},
    "NaN": float("nan"),
    "Infinity": float("inf"),
    "-Infinity": float("-inf"),
    "negative": -1,
    "negative fraction": -0.5,
    "1e300": 1e300,
    "past the year 9999": MAX_TIME + 1,
    "400 digits": 10**399,
}


@each_row("claim", ["iat", "exp", "nbf"])
@each_row("value", NUMBERS_THAT_ARE_NO_TIME.values(), ids=NUMBERS_THAT_ARE_NO_TIME)
def test_a_time_is_a_number_of_seconds(claim: str, value: object) -> None:
    assert reason_of(refusal(claims_with(**{claim: value}))) == f"token_claim_wrong|{claim}"


@pytest.mark.parametrize("claim", ["iat", "exp", "nbf"])
def test_1e400_is_no_time(claim: str) -> None:
    claims = json.dumps({**CLAIMS, claim: 0}).replace(f'"{claim}": 0', f'"{claim}": 1e400').encode()
    assert b"1e400" in claims
    assert reason_of(refusal(sign(HEADER, claims))) == f"token_claim_wrong|{claim}"


def test_an_absent_nbf_is_none_and_a_null_one_is_wrong() -> None:
    assert reason_of(refusal(claims_with(nbf=None))) == "token_claim_wrong|nbf"


WRONG_NAMES = {
    "number": 5,
    "true": True,
    "list": ["alice"],
    "object": {"a": 1},
    "NaN": float("nan"),
    "empty": "",
    "long": "a" * 256,
    "line break": "alice\nbob",
    "NUL": "alice\x00",
    "space around": "alice ",
    "only space": " ",
    "bidi override": "alice\u202e",
    "lone surrogate": "alice\ud800",
}


@each_row("claim", ["sub", "jti"])
@each_row("value", WRONG_NAMES.values(), ids=WRONG_NAMES)
def test_a_subject_and_an_id_are_short_printable_texts(claim: str, value: object) -> None:
    assert reason_of(refusal(claims_with(**{claim: value}))) == f"token_claim_wrong|{claim}"


@each_row("claim", ["sub", "iss", "iat", "exp", "jti"])
@each_row("how", ["left out", "null"])
def test_a_required_claim_must_be_there(claim: str, how: str) -> None:
    claims = {**CLAIMS, claim: None} if how == "null" else {k: v for k, v in CLAIMS.items() if k != claim}
    assert reason_of(refusal(sign(HEADER, claims))) == f"token_claim_missing|{claim}"


@each_row("issuer", ["other", "HFCHAT", "hfchat ", "", ["hfchat"], {"hfchat": 1}, 5, True], ids=repr)
def test_another_issuer_is_refused(issuer: object) -> None:
    assert reason_of(refusal(claims_with(iss=issuer))) == "token_claim_wrong|iss"


@pytest.mark.parametrize("scope", [None, 5, True, ["chat"], {"chat": 1}], ids=repr)
def test_a_scope_is_a_text(scope: object) -> None:
    assert reason_of(refusal(claims_with(scope=scope))) == "token_claim_wrong|scope"


SCOPES = [
    ("chat", {"chat"}),
    ("admin", {"admin"}),
    (" chat  admin ", {"chat", "admin"}),
    ("", set()),
    ("chatter", {"chatter"}),
]


@pytest.mark.parametrize(("scope", "scopes"), SCOPES, ids=[repr(scope) for scope, _ in SCOPES])
def test_scopes_are_separated_by_spaces(scope: str, scopes: set[str]) -> None:
    assert verify(claims_with(scope=scope)).scopes == scopes


def test_without_a_scope_one_may_chat() -> None:
    assert verify(sign(HEADER, {k: v for k, v in CLAIMS.items() if k != "scope"})).scopes == {"chat"}


@each_row("claim", ["HFCHAT", "rate", "aud", "admin", "SUB", "", "exp "])
def test_a_claim_that_would_silently_not_hold_is_refused(claim: str) -> None:
    assert reason_of(refusal(claims_with(**{claim: {"rate": "1/minute"}}))) == f"token_claim_unknown|{claim}"


def test_an_issued_token_carries_the_limits_it_was_given() -> None:
    policy = PolicyClaim(models=("c/d",), rate=Limit(5, "hour"), budget=Limit(9, "week"), streams=1, max_tokens=10)
    token = issue_token(KEY, "alice", ttl_s=60, policy=policy)
    written = {"models": ["c/d"], "rate": "5/hour", "budget": "9/week", "streams": 1, "max_tokens": 10}
    assert jwt.decode(token, KEY, algorithms=["HS256"])["hfchat"] == written
    assert verify(token).policy == Policy(
        default_model="c/d",
        models=frozenset({"c/d"}),
        max_tokens=10,
        default_tokens=10,
        rate=(Limit(30, "minute"), Limit(5, "hour")),
        budget=(Limit(200_000, "day"), Limit(9, "week")),
        streams=1,
    )


@pytest.mark.parametrize("policy", [None, PolicyClaim()], ids=["none", "an empty one"])
def test_a_token_without_limits_has_the_owners(policy: PolicyClaim | None) -> None:
    token = issue_token(KEY, "alice", ttl_s=60, policy=policy)
    assert "hfchat" not in jwt.decode(token, KEY, algorithms=["HS256"])
    assert verify(token).policy == POLICY


NO_POLICIES = {
    "no models": PolicyClaim(models=()),
    "an address for a model": PolicyClaim(models=("https://a/b",)),
    "no rate": PolicyClaim(rate=Limit(0, "minute")),
    "no window": PolicyClaim(budget=Limit(5, "fortnight")),
    "no streams": PolicyClaim(streams=0),
    "too many tokens": PolicyClaim(max_tokens=10**7),
}


@each_row("policy", NO_POLICIES.values(), ids=NO_POLICIES)
def test_no_token_is_issued_whose_limits_would_not_be_taken(policy: PolicyClaim) -> None:
    with pytest.raises(InvalidToken, match="token_claim_wrong"):
        issue_token(KEY, "alice", ttl_s=60, policy=policy)


WRONG_LIMITS: dict[str, tuple[object, str]] = {
    "no object": ("30/minute", "token_claim_wrong|hfchat"),
    "null": (None, "token_claim_wrong|hfchat"),
    "unknown": ({"speed": 5}, "token_claim_unknown|hfchat.speed"),
    "wrong": ({"rate": "fast"}, "token_claim_wrong|hfchat.rate"),
    "one of several": ({"streams": 1, "budget": 5}, "token_claim_wrong|hfchat.budget"),
}


@pytest.mark.parametrize(("claim", "said"), WRONG_LIMITS.values(), ids=WRONG_LIMITS)
def test_limits_that_cannot_be_read_are_refused(claim: object, said: str) -> None:
    assert reason_of(refusal(claims_with(hfchat=claim))) == said


def test_many_unknown_claims_are_named_briefly() -> None:
    assert len(reason_of(refusal(claims_with(**{f"claim{n}": 1 for n in range(200)})))) < 250


def test_of_a_claim_written_twice_the_last_counts() -> None:
    # RFC 7519 section 4 lets a reader take the lexically last one; for the header and the claims it is one reader.
    twice = json.dumps(CLAIMS).replace('"sub": "alice"', '"sub": "alice", "sub": "bob"').encode()
    assert verify(sign(HEADER, twice)).subject == "bob"
    assert verify(sign(b'{"alg":"none","alg":"HS256"}', CLAIMS)).subject == "alice"


@pytest.mark.parametrize("header", [{"alg": "HS256"}, {"alg": "HS256", "typ": "jwt"}], ids=["no typ", "small typ"])
def test_the_type_may_be_left_out_or_written_small(header: dict[str, str]) -> None:
    assert verify(sign(header, CLAIMS)).subject == "alice"


EXPIRED = {"by one second": -1, "in this very second": 0, "long ago": -(10**6), "in 1970": -NOW}


@pytest.mark.parametrize("late_s", EXPIRED.values(), ids=EXPIRED)
def test_a_token_past_its_end_has_expired(late_s: int) -> None:
    token = claims_with(iat=0, exp=int(time.time()) + late_s)
    refused = refusal(token, ExpiredToken)
    assert refused.code == "expired_token"
    assert (refused.subject, refused.token_id) == ("alice", "j1"), "the log may say whose it was"


def test_a_token_is_good_until_the_last_moment() -> None:
    assert verify(claims_with(exp=time.time() + 5.5)).expired(time.time() + 6)
    assert verify(claims_with(exp=MAX_TIME)).expires_at == MAX_TIME


def test_only_a_good_token_is_said_to_have_expired() -> None:
    past = NOW - 60
    assert reason_of(refusal(sign(HEADER, {**CLAIMS, "exp": past}, OTHER_KEY))) == "token_signature"
    assert reason_of(refusal(claims_with(exp=past, iss="other"))) == "token_claim_wrong|iss"
    assert reason_of(refusal(claims_with(exp=past, sub=5))) == "token_claim_wrong|sub"
    assert reason_of(refusal(claims_with(exp=past, aud="x"))) == "token_claim_unknown|aud"
    assert reason_of(refusal(claims_with(exp=past, hfchat={"speed": 1}))) == "token_claim_unknown|hfchat.speed"


def test_a_clock_a_little_ahead_does_no_harm() -> None:
    assert verify(claims_with(iat=int(time.time()) + 30)).subject == "alice"


@pytest.mark.parametrize("claim", ["nbf", "iat"])
def test_a_token_of_the_future_is_not_yet_valid(claim: str) -> None:
    assert reason_of(refusal(claims_with(**{claim: NOW + 86_400}))) == "token_early"


def test_a_past_nbf_is_no_hindrance() -> None:
    assert verify(claims_with(nbf=NOW - 1)).subject == "alice"
    assert verify(claims_with(nbf=0, iat=0.5)).subject == "alice"


# --- whatever comes


def taken_or_refused(token: str) -> None:
    try:
        caller = verify(token)
    except (InvalidToken, ExpiredToken) as error:
        refused = error
    else:
        assert caller.subject.isprintable()
        assert not caller.expired(time.time())
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
def test_any_header_and_claims_that_our_key_signed_are_taken_or_refused(header: Any, claims: Any) -> None:
    taken_or_refused(sign(header, CLAIMS))
    taken_or_refused(sign(HEADER, claims))


@FUZZ
@given(st.sampled_from(["sub", "iss", "iat", "exp", "jti", "scope", "nbf", "hfchat"]), ANY_JSON)
def test_any_value_of_a_claim_that_our_key_signed_is_taken_or_refused(claim: str, value: Any) -> None:
    taken_or_refused(claims_with(**{claim: value}))


FORGERIES = ALGORITHM | SIGNED_BY_ANOTHER | FORM


@each_row("token", FORGERIES.values(), ids=FORGERIES)
def test_no_error_shows_the_token_or_the_key(token: str) -> None:
    for error in chain(refusal(token)):
        shown = f"{error} {error!r}"
        assert KEY not in shown
        assert all(part not in shown for part in token.split(".") if len(part) > 20)


def test_a_caller_does_not_show_their_token() -> None:
    caller = verify(GOOD)
    assert SIGNATURE not in repr(caller)
    assert KEY not in repr(caller)


def test_a_tokens_id_is_no_option_of_a_command() -> None:
    ids = {verify_token(KEY, issue_token(KEY, "alice", ttl_s=60), POLICY).token_id for _ in range(300)}
    assert len(ids) == 300
    assert not any(token_id.startswith("-") for token_id in ids)
