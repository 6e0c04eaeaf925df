"""A name has one spelling: whatever signs it is written with, it is one person, who has one account."""

import time
import unicodedata
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hfchat.auth.claims import MAX_SUBJECT_CHARS, is_name, read_name
from hfchat.auth.own_tokens import issue_token, verify_token
from hfchat.errors import InvalidToken
from hfchat.ledger.meters import Principal
from tests.auth.test_verifier import HS256, POLICY, backend, detail, verified
from tests.cli.test_commands import a_folder_with_a_key, run, spend
from tests.conftest import KEY, RunningApp, make_token
from tests.support.errors import reason_of
from tests.support.handmade_tokens import sign
from tests.support.raw_client import ask

__all__ = ["a_folder_with_a_key"]  # for every test here
pytestmark = pytest.mark.usefixtures("loggers_as_they_were", "a_folder_with_a_key")

SAME = {
    "decomposed": ("a\u0301lice", "\u00e1lice"),
    "marks in another order": ("a\u0323\u0302", "\u1ead"),
    "full width": ("ａｌｉｃｅ", "alice"),
    "ligature": ("\ufb01n", "fin"),
    "mathematical": ("\U0001d41a\U0001d425ice", "alice"),
    "superscript": ("alice²", "alice2"),
    "Hangul": ("\u1112\u1161\u11ab", "\ud55c"),
    "half-width kana": ("\uff76\uff9e", "\u30ac"),
    "Kelvin": ("\u212belvin", "\u00c5elvin"),
}
DIFFERENT = [
    ("alice", "Alice"),
    ("alice", "аlice"),
    ("jose", "josé"),
    ("a b", "ab"),
    ("straße", "strasse"),
    ("a", "ª b"),
]
NONE = {
    "zero width space": "al\u200bice",
    "zero width joiner": "al\u200dice",
    "soft hyphen": "al\u00adice",
    "direction": "\u202ealice",
    "byte order mark": "\ufeffalice",
    "tag": "alice\U000e0041",
    "grapheme joiner": "al\u034fice",
    "variation selector": "alice\ufe0f",
    "further variation selector": "alice\U000e0100",
    "Hangul filler": "al\u3164ice",
    "half-width Hangul filler": "al\uffa0ice",
    "Khmer vowel": "al\u17b4ice",
    "Mongolian selector": "al\u180bice",
    "empty braille": "al\u2800ice",
    "NUL": "al\0ice",
    "no-break space": "al\u00a0ice",
    "spacing accent": "\u00b4alice",  # becomes a space and a mark
    "unassigned": "al\u0378ice",
    "private": "al\ue000ice",
    "longer once written out": "\ufdfa" * 100,
}


def by_us(subject: str) -> str:
    """A token of ours whose subject is written like this, as earlier versions issued them."""
    now = int(time.time())
    claims = {"sub": subject, "iss": "hfchat", "iat": now, "exp": now + 600, "jti": f"j-{subject!a}", "scope": "chat"}
    return sign(HS256, claims)


@pytest.mark.parametrize(("written", "name"), SAME.values(), ids=SAME)
def test_two_spellings_are_one_person(written: str, name: str) -> None:
    for spelling in (written, name):
        assert verify_token(KEY, issue_token(KEY, spelling, ttl_s=60), POLICY).subject == name
        assert Principal.of(verify_token(KEY, by_us(spelling), POLICY)) == Principal("hfchat", name)
        theirs = verified(backend(sub=spelling, iss=f"https://{spelling}"), secret=KEY)
        assert Principal.of(theirs) == Principal(f"https://{name}", name)


@pytest.mark.parametrize(("one", "other"), DIFFERENT)
def test_what_only_looks_alike_is_two_people(one: str, other: str) -> None:
    assert read_name(one) != read_name(other)


@pytest.mark.parametrize("written", NONE.values(), ids=NONE)
def test_what_nobody_sees_is_in_no_name(written: str) -> None:
    with pytest.raises(ValueError, match="can be seen"):
        issue_token(KEY, written, ttl_s=60)
    with pytest.raises(InvalidToken) as refused:
        verify_token(KEY, by_us(written), POLICY)
    assert reason_of(refused.value) == "token_claim_wrong|sub"
    assert detail(backend(sub=written)) == "token_claim_wrong|sub"
    assert detail(backend(iss=written)) == "token_claim_wrong|iss"


@pytest.mark.parametrize("issuer", ["ｈｆｃｈａｔ", "hｆchat", "\U0001d421fchat"])
def test_nobody_else_is_hfchat_in_any_spelling(issuer: str) -> None:
    assert detail(backend(iss=issuer)) == "token_claim_wrong|iss"


def test_a_required_issuer_is_compared_as_it_is_written() -> None:
    assert detail(backend(iss="https://a\u0301"), issuer="https://\u00e1") == "token_claim_wrong|iss"


@given(st.text(max_size=300))
def test_a_name_is_read_once_and_for_all(text: str) -> None:
    name = read_name(text)
    if name is not None:
        assert read_name(name) == name == unicodedata.normalize("NFKC", text)
        assert is_name(name)
        assert len(name) <= MAX_SUBJECT_CHARS


def test_both_spellings_have_one_account(offline_app: RunningApp) -> None:
    def usage(token: str) -> Any:
        return ask(offline_app, "GET", "/api/ai/usage", {"Authorization": f"Bearer {token}"}).json

    left = usage(make_token("o\u0301scar"))["budget"]["remaining"]
    question = b'{"messages": [{"role": "user", "content": "hello"}]}'
    for token in (by_us("o\u0301scar"), by_us("\u00f3scar")):
        assert ask(offline_app, "POST", "/api/ai/chat", {"Authorization": f"Bearer {token}"}, question).status == 200
    said = usage(by_us("\u00f3scar"))
    assert said["subject"] == "\u00f3scar"
    assert said["budget"]["remaining"] == usage(by_us("o\u0301scar"))["budget"]["remaining"] < left


def test_the_commands_know_both_spellings(capsys: pytest.CaptureFixture[str]) -> None:
    status, _, err = run(capsys, "token", "issue", "a\u0301lice", "--days", "1")
    assert (status, "Its subject is written \u00e1lice" in err) == (0, True)
    assert "Its subject" not in run(capsys, "token", "issue", "\u00e1lice", "--days", "1")[2]
    spend("\u00e1lice", None)
    for spelling in ("a\u0301lice", "\u00e1lice"):
        status, out, _ = run(capsys, "usage", spelling)
        assert (status, [line.split()[0] for line in out.splitlines()]) == (0, ["subject", "\u00e1lice"])
    assert run(capsys, "token", "issue", "al\u200bice", "--days", "1")[0] == 2
