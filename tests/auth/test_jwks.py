"""A provider's published keys, against a real server on loopback that rotates, lies, hangs, redirects and goes away."""

import asyncio
import datetime
import ipaddress
import json
import logging
import ssl
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from hfchat.auth.jwks import MAX_BODY_BYTES, Jwks
from hfchat.auth.public_keys import MAX_KEYS
from hfchat.errors import InvalidToken
from tests.support.errors import reason_of
from tests.support.identity_provider import KINDS, Answer, Provider, http, jwk, key_set, private_key

pytestmark = pytest.mark.anyio
RSA = jwk("rsa", kid="good")


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate for 127.0.0.1, with its key."""
    key, name = private_key("p256"), x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(1))
        .not_valid_after(now + datetime.timedelta(1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), False)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("tls") / "both.pem"
    path.write_bytes(
        made.public_bytes(Encoding.PEM) + key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    )
    return path


@pytest.fixture(autouse=True)
def few_authorities(certificate: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Trust this certificate alone: a client that reads all of the machine's takes 20 ms to make."""
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))


class Clock:
    """Time that passes when told to."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@asynccontextmanager
async def keys_at(url: str, clock: Clock | None = None, timeout_s: float = 30) -> AsyncIterator[Jwks]:
    keys = Jwks(url, timeout_s=timeout_s, clock=clock or Clock())
    try:
        yield keys
    finally:
        await keys.close()


async def refusal(keys: Jwks, kid: str | None = "good", alg: str = "RS256") -> InvalidToken:
    with pytest.raises(InvalidToken) as refused:
        await keys.key(kid, alg)
    return refused.value


async def eventually(fact: Any) -> None:
    until = time.monotonic() + 30
    while not fact():
        assert time.monotonic() < until, "it did not come true in time"
        await asyncio.sleep(0.002)


async def tried(provider: Provider, keys: Jwks, times: int) -> None:
    """Wait until so many fetches have begun, and the last one has ended."""
    await eventually(lambda: len(provider.asked) >= times and keys._fetching is None)


@pytest.mark.parametrize("kind", ["rsa", "p256", "p384", "ed25519", "ed448"])
async def test_a_published_key_is_found_by_its_name(kind: str) -> None:
    algs = [alg for alg in KINDS if kind.startswith(KINDS[alg]) or (kind == "ed448" and alg == "EdDSA")]
    async with (
        Provider(key_set(jwk(kind, kid="k1"), jwk(kind, 1, kid="k2"))) as provider,
        keys_at(provider.url) as keys,
    ):
        for alg in algs:
            assert await keys.key("k1", alg) == private_key(kind).public_key()
            assert await keys.key("k2", alg) == private_key(kind, 1).public_key()
        for alg in KINDS.keys() | {"HS256", "none", "ES512"}:
            if alg not in algs:
                assert reason_of(await refusal(keys, "k1", alg)) == "token_key_unknown"
        assert algs
        assert len(provider.asked) == 1


USABLE: dict[str, dict[str, Any]] = {
    "for signatures": {"use": "sig"},
    "for checking": {"key_ops": ["verify"]},
    "for checking and more": {"key_ops": ["sign", "verify"]},
    "for this algorithm": {"alg": "RS256"},
    "with a certificate and more": {"x5c": ["MIIB"], "x5t": "a", "x5u": "https://a.example", "issuer": "b", "more": {}},
}


@pytest.mark.parametrize("members", USABLE.values(), ids=USABLE)
async def test_a_key_may_say_what_it_is_for(members: dict[str, Any]) -> None:
    async with Provider(key_set({**RSA, **members})) as provider, keys_at(provider.url) as keys:
        assert await keys.key("good", "RS256") == private_key("rsa").public_key()


def without(entry: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: value for name, value in entry.items() if name not in names}


BAD = jwk("rsa", 1, kid="bad")
EC = jwk("p256", kid="bad")
UNUSABLE: dict[str, Any] = {
    "symmetric": {"kty": "oct", "k": "a" * 43, "kid": "bad"},
    "symmetric, for HS256": {"kty": "oct", "k": "a" * 43, "kid": "bad", "alg": "HS256", "use": "sig"},
    "symmetric, with a public one's members": {**BAD, "kty": "oct", "k": "a" * 43},
    "private RSA": jwk("rsa", 1, private=True, kid="bad"),
    "private RSA, only its d": {**BAD, "d": jwk("rsa", 1, private=True)["d"]},
    "private EC": jwk("p256", private=True, kid="bad"),
    "private Ed25519": jwk("ed25519", private=True, kid="bad"),
    "for encryption": {**BAD, "use": "enc"},
    "for nothing known": {**BAD, "use": ["sig"]},
    "for signing only": {**BAD, "key_ops": ["sign"]},
    "operations no list": {**BAD, "key_ops": "verify"},
    "for an encryption": {**BAD, "alg": "RSA-OAEP-256"},
    "for no signature": {**BAD, "alg": "none"},
    "for HS256": {**BAD, "alg": "HS256"},
    "algorithm no text": {**BAD, "alg": ["RS256"]},
    "another kind's algorithm": {**BAD, "alg": "ES256"},
    "RSA of 1024 bits": jwk("rsa1024", kid="bad"),
    "RSA of 16384 bits": {**BAD, "n": "_" * 2730 + "w"},
    "P-521": jwk("p521", kid="bad"),
    "secp256k1": jwk("secp256k1", kid="bad"),
    "X25519": {"kty": "OKP", "crv": "X25519", "x": "a" * 43, "kid": "bad"},
    "no kty": without(BAD, "kty"),
    "kty no text": {**BAD, "kty": ["RSA"]},
    "kty in small letters": {**BAD, "kty": "rsa"},
    "kid a number": {**BAD, "kid": 5},
    "n missing": without(BAD, "n"),
    "n a number": {**BAD, "n": 5},
    "n null": {**BAD, "n": None},
    "n no base64": {**BAD, "n": "!!!"},
    "n empty": {**BAD, "n": ""},
    "e even": {**BAD, "e": "AQAA"},
    "e one": {**BAD, "e": "AQ"},
    "y missing": without(EC, "y"),
    "off its curve": {**EC, "y": EC["x"]},
    "x short": {**EC, "x": "AAAA"},
    "P-384 with P-256's numbers": {**EC, "crv": "P-384"},
    "no curve": without(EC, "crv"),
    "x of Ed25519 short": {**jwk("ed25519", kid="bad"), "x": "AAAA"},
    "empty": {},
    "a number": 5,
    "null": None,
    "a text": "bad",
    "a list": [BAD],
}


@pytest.mark.parametrize("entry", UNUSABLE.values(), ids=UNUSABLE)
async def test_a_key_that_cannot_be_used_is_none_and_spoils_no_other(entry: Any) -> None:
    async with Provider(key_set(entry, RSA)) as provider, keys_at(provider.url) as keys:
        assert await keys.key("good", "RS256") == private_key("rsa").public_key()
        for alg in KINDS.keys() | {"HS256", "none"}:
            assert reason_of(await refusal(keys, "bad", alg)) == "token_key_unknown"
        assert await keys.key(None, "RS256") == private_key("rsa").public_key()


async def test_a_key_named_by_the_older_name_of_eddsa_checks_the_newer_one_of_its_kind_too() -> None:
    async with Provider(key_set(jwk("ed25519", kid="good", alg="EdDSA"))) as provider, keys_at(provider.url) as keys:
        for name in ("EdDSA", "Ed25519"):
            await keys.key("good", name)
        assert reason_of(await refusal(keys, "good", "Ed448")) == "token_key_unknown"


async def test_a_key_for_one_algorithm_checks_no_other() -> None:
    async with Provider(key_set({**RSA, "alg": "PS256"})) as provider, keys_at(provider.url) as keys:
        await keys.key("good", "PS256")
        assert reason_of(await refusal(keys, "good", "RS256")) == "token_key_unknown"


async def test_without_a_name_the_only_key_that_fits_is_taken() -> None:
    answer = key_set(jwk("rsa"), jwk("p256", kid="a"), jwk("ed25519", kid="b"), jwk("ed25519", 1, kid="c"))
    async with Provider(answer) as provider, keys_at(provider.url) as keys:
        assert await keys.key(None, "RS256") == private_key("rsa").public_key()
        assert await keys.key(None, "ES256") == private_key("p256").public_key()
        assert reason_of(await refusal(keys, None, "EdDSA")) == "token_key_unknown"
        assert reason_of(await refusal(keys, None, "ES384")) == "token_key_unknown"


async def test_a_key_without_a_name_has_none_to_be_asked_for() -> None:
    async with Provider(key_set(jwk("rsa"))) as provider, keys_at(provider.url) as keys:
        for kid in ("", "None", "null"):
            assert reason_of(await refusal(keys, kid)) == "token_key_unknown"


async def test_of_two_keys_with_one_name_the_one_that_fits_is_taken() -> None:
    answer = key_set(jwk("p256", kid="k"), jwk("rsa", kid="k", alg="PS256"), jwk("rsa", 1, kid="k", alg="RS256"))
    async with Provider(answer) as provider, keys_at(provider.url) as keys:
        assert await keys.key("k", "RS256") == private_key("rsa", 1).public_key()
        assert await keys.key("k", "PS256") == private_key("rsa").public_key()
        assert await keys.key("k", "ES256") == private_key("p256").public_key()


async def close_at_once(writer: asyncio.StreamWriter) -> None:
    writer.close()


async def babble(writer: asyncio.StreamWriter) -> None:
    writer.write(b"SSH-2.0-OpenSSH\r\n\r\n")


async def cut(writer: asyncio.StreamWriter) -> None:
    writer.write(b'HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n{"keys": [')


WHOLE = json.dumps({"keys": [RSA]}).encode()
LIES: dict[str, Answer | str] = {
    "a page": http(200, b"<html>Log in</html>", Content_Type="text/html"),
    "nothing": http(200),
    "a list": http(200, json.dumps([RSA]).encode()),
    "a text": http(200, b'"keys"'),
    "null": http(200, b"null"),
    "a number of 5000 digits": http(200, b'{"keys": ' + b"9" * 5000 + b"}"),
    "nested deep": http(200, b"[" * 100_000),
    "no UTF-8": http(200, b'{"keys": ["\xff"]}'),
    "no keys": http(200, b"{}"),
    "keys null": http(200, b'{"keys": null}'),
    "keys an object": http(200, json.dumps({"keys": {"good": RSA}}).encode()),
    "an empty set": key_set(),
    "a set of what is none": key_set(1, None, "a", []),
    "symmetric keys only": key_set({"kty": "oct", "k": "a" * 43, "kid": "good"}),
    "private keys only": key_set(jwk("rsa", private=True, kid="good")),
    "too many keys": key_set(*[RSA] * (MAX_KEYS + 1)),
    "too large by a byte": http(200, WHOLE + b" " * (MAX_BODY_BYTES + 1 - len(WHOLE))),
    "compressed": http(200, WHOLE, Content_Encoding="gzip"),
    "201": http(201, WHOLE),
    "204": http(204),
    "302 to nowhere": http(302, WHOLE),
    "304": http(304),
    "404": http(404, WHOLE),
    "429": http(429, WHOLE, Retry_After="1"),
    "500": http(500, WHOLE),
    "no HTTP": babble,
    "closed at once": close_at_once,
    "cut off": cut,
    "100 MB": "flood",
    "silence": "hang",
    "a slow head": "drip_head",
    "a slow body": "drip",
}


def patience_s(lie: Answer | str) -> float:
    """Short, where the answer never ends; else nothing waits for it to pass."""
    return 30 if lie == "flood" or not isinstance(lie, str) else 0.3


def misbehaving(provider: Provider, lie: Answer | str) -> Answer:
    return getattr(provider, lie) if isinstance(lie, str) else lie  # type: ignore[no-any-return]


@pytest.mark.parametrize("lie", LIES.values(), ids=LIES)
async def test_while_no_keys_were_ever_fetched_the_owner_is_at_fault(
    lie: Answer | str, caplog: pytest.LogCaptureFixture
) -> None:
    clock = Clock()
    async with Provider(key_set(RSA)) as provider, keys_at(f"{provider.url}?key=Zq8", clock, patience_s(lie)) as keys:
        provider.answer = misbehaving(provider, lie)
        refused = await refusal(keys)
        assert (refused.reason, refused.fault, refused.status) == ("token_key_unreachable", "owner", 401)
        assert [record.message for record in caplog.records] == ["jwks_failed"]
        assert "Zq8" not in str(vars(caplog.records[0]))
        assert provider.sent < 20_000_000
        provider.answer = key_set(RSA)
        clock.now += 1.9
        assert reason_of(await refusal(keys)) == "token_key_unreachable", "it is not asked again within two seconds"
        clock.now += 0.2
        assert await keys.key("good", "RS256") == private_key("rsa").public_key()
    assert InvalidToken.fault == "caller"


@pytest.mark.parametrize("lie", LIES.values(), ids=LIES)
async def test_what_is_no_key_set_takes_no_known_key_away(lie: Answer | str, caplog: pytest.LogCaptureFixture) -> None:
    clock = Clock()
    async with Provider(key_set(RSA)) as provider, keys_at(provider.url, clock, patience_s(lie)) as keys:
        await keys.key("good", "RS256")
        provider.answer = misbehaving(provider, lie)
        for times in (2, 3):
            clock.now += 10_000
            assert await keys.key("good", "RS256") == private_key("rsa").public_key()
            await tried(provider, keys, times)
        assert reason_of(await refusal(keys, "other")) == "token_key_unknown"
        assert {record.message for record in caplog.records if record.name.startswith("hfchat")} == {"jwks_failed"}
        provider.answer = key_set(jwk("rsa", 1, kid="next"))
        clock.now += 31
        assert await keys.key("next", "RS256") == private_key("rsa", 1).public_key()


async def test_a_provider_that_goes_away_takes_no_known_key_along() -> None:
    clock = Clock()
    async with Provider(key_set(RSA)) as provider, keys_at(provider.url, clock) as keys:
        await keys.key("good", "RS256")
        await provider.gone()
        clock.now += 10**6
        await keys.key("good", "RS256")
        await eventually(lambda: keys._fetching is None)
        assert await keys.key("good", "RS256") == private_key("rsa").public_key()
        assert reason_of(await refusal(keys, "other")) == "token_key_unknown"


async def test_nobody_listens() -> None:
    async with Provider(key_set(RSA)) as provider:
        url = provider.url
    async with keys_at(url) as keys:
        assert reason_of(await refusal(keys)) == "token_key_unreachable"


async def test_a_set_as_large_as_is_read_is_read() -> None:
    answer = http(200, WHOLE + b" " * (MAX_BODY_BYTES - len(WHOLE)))
    async with Provider(answer) as provider, keys_at(provider.url) as keys:
        assert await keys.key("good", "RS256") == private_key("rsa").public_key()
        provider.answer = key_set(*[5] * (MAX_KEYS - 1), jwk("rsa", kid="last"))
        async with keys_at(provider.url) as others:
            assert await others.key("last", "RS256")


async def test_private_keys_are_told_to_the_owner_without_a_part_of_them(caplog: pytest.LogCaptureFixture) -> None:
    private = jwk("rsa", 1, private=True, kid="bad")
    async with Provider(key_set(private, RSA)) as provider, keys_at(provider.url) as keys:
        await keys.key("good", "RS256")
    (record,) = [record for record in caplog.records if record.levelno >= logging.WARNING]
    assert record.message == "jwks_private_keys"
    assert private["d"] not in str(vars(record))


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("place", ["/moved", "moved", "{origin}/moved", "//127.0.0.1:{port}/moved"])
async def test_a_redirect_within_the_provider_is_followed(status: int, place: str) -> None:
    async with Provider(key_set(RSA)) as provider, keys_at(provider.url) as keys:
        to = place.format(origin=provider.url.removesuffix("/jwks.json"), port=provider.port)
        provider.at["/jwks.json"] = provider.redirect(to, status)
        assert await keys.key("good", "RS256")
        assert provider.asked == ["/jwks.json", "/moved"]


ELSEWHERE = [
    "http://127.0.0.1:{other}/jwks.json",
    "http://localhost:{port}/jwks.json",
    "http://127.1:{port}/jwks.json",
    "http://127.0.0.1/jwks.json",
    "https://127.0.0.1:{port}/jwks.json",
    "http://me:pw@127.0.0.1:{port}/jwks.json",
    "http://127.0.0.1:{port}@localhost:{other}/jwks.json",
    "//localhost:{port}/moved",
    "file:///etc/passwd",
    "data:application/json,{{}}",
    "http://[::1",
    "http://127.0.0.1:99999999/",
]


@pytest.mark.parametrize("place", ELSEWHERE)
async def test_a_redirect_to_another_place_is_not_followed(place: str) -> None:
    async with Provider(key_set(RSA)) as provider, Provider(key_set(RSA)) as other, keys_at(provider.url) as keys:
        provider.at["/jwks.json"] = provider.redirect(place.format(port=provider.port, other=other.port))
        assert reason_of(await refusal(keys)) == "token_key_unreachable"
        assert (provider.asked, other.asked) == (["/jwks.json"], [])


@pytest.mark.parametrize("hops", [3, 4])
async def test_three_redirects_are_followed_and_no_more(hops: int) -> None:
    async with Provider(key_set(RSA)) as provider, keys_at(provider.url) as keys:
        provider.at = {f"/{hop}": provider.redirect(f"/{hop + 1}") for hop in range(1, hops)}
        provider.at["/jwks.json"] = provider.redirect("/1")
        if hops == 3:
            assert await keys.key("good", "RS256")
        else:
            assert reason_of(await refusal(keys)) == "token_key_unreachable"
        assert len(provider.asked) == 4


async def test_https_is_checked_and_never_left_for_http(certificate: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    async with Provider(key_set(RSA), context) as provider:
        async with keys_at(provider.url) as keys:
            assert await keys.key("good", "RS256")
        async with Provider(key_set(RSA)) as plain, keys_at(provider.url) as keys:
            provider.answer = provider.redirect(plain.url)
            assert reason_of(await refusal(keys)) == "token_key_unreachable"
            assert plain.asked == []
        provider.answer = key_set(RSA)
        monkeypatch.delenv("SSL_CERT_FILE")
        async with keys_at(provider.url) as keys:
            assert reason_of(await refusal(keys)) == "token_key_unreachable", "nobody vouches for the certificate"


async def test_a_thousand_at_once_share_one_fetch() -> None:
    async with Provider(key_set(RSA)) as provider, keys_at(provider.url) as keys:
        results = await asyncio.gather(*[keys.key("good", "RS256") for _ in range(1000)])
        assert results == [private_key("rsa").public_key()] * 1000
        assert len(provider.asked) == 1


async def test_a_thousand_who_look_for_a_new_key_share_one_fetch() -> None:
    clock = Clock()
    async with Provider(key_set(RSA)) as provider, keys_at(provider.url, clock) as keys:
        await keys.key("good", "RS256")
        provider.answer = key_set(RSA, jwk("rsa", 1, kid="next"))
        clock.now += 30
        results = await asyncio.gather(*[keys.key("next", "RS256") for _ in range(1000)])
        assert results == [private_key("rsa", 1).public_key()] * 1000
        assert len(provider.asked) == 2


async def test_a_flood_of_unknown_names_is_no_flood_of_fetches() -> None:
    clock = Clock()
    async with Provider(key_set(RSA)) as provider, keys_at(provider.url, clock) as keys:
        for second in range(90):
            clock.now = 1000.0 + second
            for number in range(10):
                assert reason_of(await refusal(keys, f"unknown-{second}-{number}")) == "token_key_unknown"
        assert len(provider.asked) == 3
        assert await keys.key("good", "RS256")


async def test_a_flood_while_the_provider_is_down_is_none_either() -> None:
    clock = Clock()
    async with Provider(http(500)) as provider, keys_at(provider.url, clock) as keys:
        for tenth in range(100):
            clock.now = 1000.0 + tenth / 10
            assert reason_of(await refusal(keys)) == "token_key_unreachable"
        assert len(provider.asked) == 5
        provider.answer = key_set(RSA)
        clock.now += 2
        await keys.key("good", "RS256")
        provider.answer = http(500)
        for _ in range(60):
            clock.now += 1
            assert reason_of(await refusal(keys, "unknown")) == "token_key_unknown"
        assert len(provider.asked) == 8


async def test_while_unknown_names_wait_known_ones_do_not() -> None:
    clock = Clock()
    async with Provider(key_set(RSA)) as provider, keys_at(provider.url, clock) as keys:
        await keys.key("good", "RS256")
        provider.answer = provider.hang
        clock.now += 31
        waiting = asyncio.create_task(refusal(keys, "unknown"))
        await eventually(lambda: len(provider.asked) == 2)
        assert await keys.key("good", "RS256")
        assert not waiting.done()
        provider.over.set()
        assert reason_of(await waiting) == "token_key_unknown"


async def test_after_five_minutes_new_keys_come_in_behind_the_old_ones() -> None:
    clock = Clock()
    async with Provider(key_set(RSA, jwk("rsa", 1, kid="old"))) as provider, keys_at(provider.url, clock) as keys:
        await keys.key("old", "RS256")
        clock.now += 299
        await keys.key("old", "RS256")
        assert keys._fetching is None
        provider.answer = key_set(RSA)
        clock.now += 1
        assert await keys.key("old", "RS256"), "the old keys answer while the new ones are on their way"
        await tried(provider, keys, 2)
        assert reason_of(await refusal(keys, "old")) == "token_key_unknown", "a key that was rotated out is refused"
        assert await keys.key("good", "RS256")
        assert len(provider.asked) == 2


async def test_a_key_that_was_replaced_under_its_name_is_another_one() -> None:
    clock = Clock()
    async with Provider(key_set(RSA)) as provider, keys_at(provider.url, clock) as keys:
        assert await keys.key("good", "RS256") == private_key("rsa").public_key()
        provider.answer = key_set(jwk("rsa", 1, kid="good"))
        clock.now += 300
        await keys.key("good", "RS256")
        await tried(provider, keys, 2)
        assert await keys.key("good", "RS256") == private_key("rsa", 1).public_key()


async def test_who_waits_and_leaves_does_not_end_the_fetch_of_the_others() -> None:
    async with Provider(key_set(RSA)) as provider, keys_at(provider.url) as keys:
        whole = provider.answer

        async def late(writer: asyncio.StreamWriter) -> None:
            await provider.over.wait()
            await whole(writer)

        provider.answer = late
        first, second = (asyncio.create_task(keys.key("good", "RS256")) for _ in range(2))
        await eventually(lambda: provider.asked)
        first.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first
        assert not second.done()
        provider.over.set()
        assert await second == private_key("rsa").public_key()
        assert len(provider.asked) == 1


async def test_when_all_who_waited_have_left_the_keys_still_come() -> None:
    async with Provider(key_set(RSA)) as provider, keys_at(provider.url) as keys:
        waiting = asyncio.create_task(keys.key("good", "RS256"))
        await asyncio.sleep(0)
        waiting.cancel()
        await tried(provider, keys, 1)
        assert await keys.key("good", "RS256")
        assert len(provider.asked) == 1


async def test_closing_ends_a_fetch_and_none_begins_after() -> None:
    clock = Clock()
    async with Provider(key_set(RSA)) as provider:
        provider.answer = provider.hang
        keys = Jwks(provider.url, clock=clock)
        waiting = asyncio.create_task(refusal(keys))
        await eventually(lambda: provider.asked)
        await keys.close()
        assert reason_of(await waiting) == "token_key_unreachable"
        clock.now += 1000
        assert reason_of(await refusal(keys)) == "token_key_unreachable"
        await keys.close()
        assert len(provider.asked) == 1
        unused = Jwks(provider.url)
        await unused.close()
        assert reason_of(await refusal(unused)) == "token_key_unreachable"
        assert len(provider.asked) == 1
