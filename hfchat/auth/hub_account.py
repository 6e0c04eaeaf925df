"""Hugging Face account in a token of ours: the claim `hub`, read exactly or refused. Pure."""

from typing import Any

from hfchat.auth.claims import is_name, wrong_claim
from hfchat.ledger.copy_files import NAMES
from hfchat.types import HubAccount

CLAIM = "hub"
# Before the `sub` that Hugging Face gives, which stays when somebody is renamed: nobody else's subject begins so.
SUBJECT_PREFIX = "hf:"
_OWNER, _SELF = "owner", "self"
_FIELDS = frozenset({"name", "member", "payer", "program"})


def account_payload(account: HubAccount) -> dict[str, Any]:
    """The claim, as JSON in a token."""
    payload: dict[str, Any] = {"name": account.name, "payer": _SELF if account.own_credit else _OWNER}
    if account.member is not None:
        payload["member"] = account.member
    if account.program:
        payload["program"] = True
    return payload


def read_account(claim: object) -> HubAccount:
    """The account of the claim. Raises: InvalidToken for an unknown or wrong field."""
    if not isinstance(claim, dict) or not claim.keys() <= _FIELDS:
        raise wrong_claim(CLAIM)
    member, program = claim.get("member"), claim.get("program", False)
    known = is_name(claim.get("name")) and (member is None or is_name(member)) and isinstance(program, bool)
    if not known or claim.get("payer") not in (_OWNER, _SELF):
        raise wrong_claim(CLAIM)
    return HubAccount(claim["name"], member, claim["payer"] == _SELF, program)


def name_record(subject: str) -> str:
    """The ledger's record of this person's name: for who reads a list of subjects, which are numbers."""
    return f"{NAMES}{subject}"
