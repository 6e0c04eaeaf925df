"""Who signed in with Hugging Face, in a token of ours, and who pays for them."""

from dataclasses import replace
from typing import Any

import pytest

from hfchat.auth.credit import Credit
from hfchat.auth.hub_account import account_payload, read_account
from hfchat.auth.own_tokens import issue_token, verify_token
from hfchat.errors import InvalidToken
from hfchat.limits import Limit
from hfchat.types import Caller, HubAccount, Policy
from tests.conftest import KEY
from tests.support.rows import each_row

POLICY = Policy("m", None, rate=(Limit(3, "minute"),), budget=(Limit(1000, "day"),), streams=2)
ACCOUNTS = {
    "a guest": HubAccount("alice"),
    "a member": HubAccount("alice", "acme", own_credit=False),
    "a member who pays": HubAccount("alice", "acme", own_credit=True),
    "a program": HubAccount("alice", "acme", own_credit=False, program=True),
}


@pytest.mark.parametrize("account", ACCOUNTS.values(), ids=ACCOUNTS)
def test_an_account_is_read_as_it_was_written(account: HubAccount) -> None:
    assert read_account(account_payload(account)) == account
    token = issue_token(KEY, "hf:1", ttl_s=60, account=account, token_id="j1")
    caller = verify_token(KEY, token, POLICY)
    assert (caller.account, caller.token_id, caller.name) == (account, "j1", "alice")
    assert caller.own_credit is account.own_credit


GOOD = {"name": "alice", "payer": "owner", "member": "acme"}
BAD: dict[str, Any] = {
    "no object": ["alice"],
    "nothing": None,
    "no name": {"payer": "self"},
    "no payer": {"name": "alice"},
    "a name that is none": {**GOOD, "name": "a\nb"},
    "an empty name": {**GOOD, "name": ""},
    "another payer": {**GOOD, "payer": "acme"},
    "a payer that is no text": {**GOOD, "payer": ["self"]},
    "a member that is no text": {**GOOD, "member": ["acme"]},
    "a program that is no boolean": {**GOOD, "program": 1},
    "a further field": {**GOOD, "may_choose": True},
}


@each_row("claim", BAD.values(), ids=BAD)
def test_a_claim_of_another_form_is_refused(claim: Any) -> None:
    with pytest.raises(InvalidToken) as refused:
        read_account(claim)
    assert refused.value.params == {"value": "hub"}


def caller(account: HubAccount | None) -> Caller:
    return Caller("hf:1", "j1", 2**40, POLICY, account=account)


BOTH = Credit(frozenset({"acme"}), owner=True, own=True)
OWNER = Credit(frozenset({"acme"}), owner=True)
OWN = Credit(frozenset({"acme"}), own=True)
# Who may pay, whose account; then whether they pay for themself and may choose, or None where they are refused.
ADMITTED: dict[str, tuple[Credit, HubAccount, tuple[bool, bool] | None]] = {
    "a member": (BOTH, ACCOUNTS["a member"], (False, True)),
    "a member who pays": (BOTH, ACCOUNTS["a member who pays"], (True, True)),
    "a guest": (BOTH, ACCOUNTS["a guest"], (True, False)),
    "a member of what is none any more": (BOTH, HubAccount("alice", "other", own_credit=False), (True, False)),
    "a guest who says that the owner pays": (BOTH, HubAccount("alice", own_credit=False), (True, False)),
    "a member where only the owner pays": (OWNER, ACCOUNTS["a member"], (False, False)),
    "a guest where only the owner pays": (OWNER, ACCOUNTS["a guest"], None),
    "a member who pays where only the owner does": (OWNER, ACCOUNTS["a member who pays"], None),
    "a member of an owner without a token": (OWN, ACCOUNTS["a member"], (True, False)),
    "anybody where the sign-in is off": (Credit(), ACCOUNTS["a member"], None),
}


@each_row(("credit", "account", "payer"), ADMITTED.values(), ids=ADMITTED)
def test_who_pays_is_as_the_owner_has_it_now(
    credit: Credit, account: HubAccount, payer: tuple[bool, bool] | None
) -> None:
    if payer is None:
        with pytest.raises(InvalidToken, match="token_member"):
            credit.admit(caller(account))
        return
    admitted = credit.admit(caller(account))
    assert admitted.account
    assert (admitted.own_credit, admitted.account.may_choose) == payer
    assert admitted.policy.budget == (() if admitted.own_credit else POLICY.budget)
    assert (admitted.policy.rate, admitted.policy.streams) == (POLICY.rate, POLICY.streams)


def test_whoever_has_a_token_of_the_owners_is_let_in_as_ever() -> None:
    invited = caller(None)
    assert Credit().admit(invited) is invited
    assert (invited.own_credit, invited.name) == (False, "hf:1")


def test_a_program_of_who_is_no_member_any_more_does_not_begin_to_spend_their_own_credit() -> None:
    account = HubAccount("alice", "gone", own_credit=False, program=True)
    with pytest.raises(InvalidToken, match="token_member"):
        BOTH.admit(caller(account))
    assert BOTH.admit(caller(replace(account, own_credit=True))).own_credit
    assert BOTH.admit(caller(replace(account, program=False))).own_credit
