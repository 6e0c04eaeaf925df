"""A sign-in attempt in its sealed cookie: only this server reads it, and not for long."""

import base64
import hashlib

import pytest

from hfchat.auth.seal import Seal
from hfchat.auth.sign_in_attempt import ATTEMPT_S, Attempt, AttemptCookie
from tests.conftest import KEY
from tests.support.rows import each_row

NOW = 1_800_000_000.0


def test_an_attempt_is_read_as_it_was_written_and_by_nobody_else() -> None:
    attempt = Attempt.begin(NOW)
    value = AttemptCookie(KEY).write(attempt)
    assert AttemptCookie(KEY).read(value, NOW + ATTEMPT_S) == attempt
    assert AttemptCookie(KEY[::-1]).read(value, NOW) is None
    for secret in (attempt.state, attempt.nonce, attempt.verifier):
        assert secret not in value
        assert secret not in repr(attempt)
        assert secret.encode() not in base64.urlsafe_b64decode(value)


@pytest.mark.parametrize("after_s", [-1, ATTEMPT_S + 1])
def test_an_attempt_does_not_last(after_s: float) -> None:
    cookie = AttemptCookie(KEY)
    assert cookie.read(cookie.write(Attempt.begin(NOW)), NOW + after_s) is None


@each_row("value", ["", "=", "AAAA", "a b", "é", "A" * 400, "."])
def test_what_is_no_attempt_is_none(value: str) -> None:
    assert AttemptCookie(KEY).read(value, NOW) is None


def test_a_changed_byte_opens_nothing() -> None:
    cookie = AttemptCookie(KEY)
    value = bytearray(base64.urlsafe_b64decode(cookie.write(Attempt.begin(NOW))))
    for place in range(len(value)):
        changed = bytearray(value)
        changed[place] ^= 1
        assert cookie.read(base64.urlsafe_b64encode(changed).decode(), NOW) is None


def test_each_attempt_is_another_and_its_challenge_is_s256() -> None:
    one, other = Attempt.begin(NOW), Attempt.begin(NOW)
    assert {one.state, one.nonce, one.verifier}.isdisjoint({other.state, other.nonce, other.verifier})
    digest = hashlib.sha256(one.verifier.encode()).digest()
    assert base64.urlsafe_b64decode(f"{one.challenge}=") == digest
    assert 43 <= len(one.verifier) <= 128
    assert one.matches(one.state)
    assert not one.matches("")
    assert not one.matches("é")


def test_what_is_sealed_opens_in_its_own_place_only() -> None:
    seal = Seal(KEY, "one")
    sealed = seal.close(b"secret", "here")
    assert b"secret" not in sealed
    assert seal.open(sealed, "here") == b"secret"
    assert seal.open(sealed, "there") is None
    assert Seal(KEY, "another").open(sealed, "here") is None
    assert seal.open(b"", "here") is None
    assert seal.close(b"secret", "here") != sealed
