"""Credit: who pays for somebody who signed in with Hugging Face, the owner or they themself. Pure.

Members chat on the owner's credit, under all of the owner's limits. Who pays for themself has the owner's rate and replies in
progress, which protect the server; no budget of tokens, which protects the owner's credit.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from hfchat.errors import InvalidToken
from hfchat.types import Caller


@dataclass(frozen=True, slots=True)
class Credit:
    """`members` are names of people and organisations, in lower case. `owner`: there is a credit of the owner's; `own`: people
    may pay for themself. Without both, nobody who signed in with Hugging Face is let in.
    """

    members: frozenset[str] = frozenset()
    owner: bool = False
    own: bool = False

    def membership(self, names: Iterable[str]) -> str | None:
        """The first of a person's own and their organisations' names that is a member's; None without one."""
        return next((name.lower() for name in names if name.lower() in self.members), None) if self.owner else None

    def admit(self, caller: Caller) -> Caller:
        """The caller, with who pays as it is now: the members may be others than when the token was signed.

        Raises: InvalidToken where nobody can pay for them, or where a program began on the owner's credit and would go on on its
        person's own.
        """
        account = caller.account
        if account is None:
            return caller
        member = self.membership([account.member] if account.member else [])
        own_credit = account.own_credit or member is None
        # On the page it is said who pays now; a program would spend its person's money without a word.
        unasked = account.program and not account.own_credit
        if own_credit and (unasked or not self.own):
            raise InvalidToken("token_member")
        may_choose = member is not None and self.own
        account = replace(account, member=member, own_credit=own_credit, may_choose=may_choose)
        policy = replace(caller.policy, budget=()) if own_credit else caller.policy
        return replace(caller, account=account, policy=policy)
