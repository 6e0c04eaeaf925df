"""OAuth sign-in with Hugging Face, its `state` and its sessions: an attempt is begun and finished, and our own signed token is
the session.

All tokens of a session have one `jti`: revoked, or signed out of, it ends with every program token made from it.
"""

import asyncio
import hashlib
import logging
import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from hfchat.auth.claims import MAX_TIME, read_name
from hfchat.auth.credit import Credit
from hfchat.auth.hub_account import SUBJECT_PREFIX, name_record
from hfchat.auth.hub_tokens import HubTokens
from hfchat.auth.id_token import ProviderError
from hfchat.auth.openid import GrantRefused, OpenIdProvider, ProviderTokens
from hfchat.auth.own_tokens import issue_token, verify_token
from hfchat.auth.seal import Seal
from hfchat.auth.sign_in_attempt import ATTEMPT_S, Attempt, AttemptCookie
from hfchat.errors import InvalidRequest, InvalidToken, Overloaded, SignInFailed
from hfchat.ids import random_id
from hfchat.ledger.ledger import Ledger
from hfchat.logs import log_event
from hfchat.types import Caller, HubAccount, Policy

logger = logging.getLogger(__name__)

INFERENCE_SCOPE = "inference-api"
# As long may a membership be used that has ended at Hugging Face; signing in anew takes one click.
SESSION_S = 7 * 86_400
# Codes that are exchanged at once. Anybody may send one, and each is a call to Hugging Face.
MAX_EXCHANGES = 32
# To read a token whose limits do not matter.
_NO_LIMITS = Policy("", None)


class HubSessions:
    """Begins sessions, changes who pays, and ends them. Used in one event loop."""

    def __init__(
        self,
        provider: OpenIdProvider,
        tokens: HubTokens,
        ledger: Ledger,
        credit: Credit,
        secret: str | bytes,
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._provider = provider
        self._ledger = ledger
        self._credit = credit
        self._secret = secret
        self._tokens = tokens
        self._clock = clock
        self._attempts = AttemptCookie(secret)
        self._frames = Seal(secret, "session for a frame")
        self._exchanges = asyncio.Semaphore(MAX_EXCHANGES)

    async def start(self, frame: str = "") -> tuple[str, str]:
        """Where to send a browser that wants to sign in, and the cookie that lets it finish. Raises: SignInFailed.

        `frame` is the id of a frame of the same browser that waits for the session.
        """
        attempt = Attempt.begin(self._clock(), frame)
        try:
            return await self._provider.authorization_url(attempt), self._attempts.write(attempt)
        except ProviderError as failure:
            raise _provider_failed(failure) from failure

    async def finish(self, answer: Mapping[str, str], cookie: str, current: Caller | None) -> str:
        """Our token of a new session, for the provider's `answer` in the address and the attempt in the cookie.

        `current` is who is signed in in this browser: the same person keeps the `jti`, and with it their program tokens.
        Raises: SignInFailed, Overloaded, StoreUnavailable.
        """
        attempt = self._attempts.read(cookie, self._clock())
        if attempt is None or not attempt.matches(answer.get("state", "")):
            raise SignInFailed("sign_in_attempt")
        if self._exchanges.locked():
            raise Overloaded
        try:
            async with self._exchanges:
                tokens, claims = await self._exchanged(answer, attempt)
            token = await self._begin(tokens, claims, current)
        except GrantRefused as refused:
            raise SignInFailed("sign_in_attempt") from refused
        except ProviderError as failure:
            raise _provider_failed(failure) from failure
        if attempt.frame:
            sealed = self._frames.close(token.encode(), attempt.frame)
            await self._ledger.store_record(_frame_record(attempt.frame), sealed, until=self._clock() + ATTEMPT_S)
        return token

    async def claim(self, frame_secret: str) -> str | None:
        """The session's token for the frame that has this secret, once; None before its attempt is finished.

        Raises: StoreUnavailable.
        """
        frame = frame_id(frame_secret)
        sealed = await self._ledger.read_record(_frame_record(frame))
        token = self._frames.open(sealed, frame) if sealed is not None else None
        if token is None:
            return None
        await self._ledger.delete_record(_frame_record(frame))
        return token.decode()

    async def _exchanged(self, answer: Mapping[str, str], attempt: Attempt) -> tuple[ProviderTokens, dict[str, Any]]:
        # Before anything is made of the answer: whatever comes of it, a second one is not tried.
        used = hashlib.sha256(attempt.state.encode()).hexdigest()
        until = attempt.began + ATTEMPT_S + 1
        if (await self._ledger.begin_once(f"sign-in:{used}", "", random_id(96), until=until)).running:
            raise SignInFailed("sign_in_attempt")
        endpoints = await self._provider.endpoints()
        # RFC 9207: a code of another provider is not sent to this one (mix-up).
        if answer.get("iss", None if endpoints.names_issuer else endpoints.issuer) != endpoints.issuer:
            raise ProviderError("the answer has a wrong iss")
        if "error" in answer:
            if answer["error"] == "access_denied":
                raise SignInFailed("sign_in_denied")
            raise ProviderError("the answer is an error")
        return await self._provider.exchange(answer.get("code", ""), attempt)

    async def _begin(self, tokens: ProviderTokens, claims: dict[str, Any], current: Caller | None) -> str:
        subject = f"{SUBJECT_PREFIX}{claims['sub']}"
        member = await self._membership(tokens, claims)
        if member is None and not self._credit.own:
            raise SignInFailed("sign_in_members")
        if member is None and INFERENCE_SCOPE not in tokens.scopes:
            raise SignInFailed("sign_in_scope")
        name = read_name(claims.get("preferred_username")) or subject
        same = current is not None and current.account is not None and current.subject == subject
        token_id = current.token_id if current is not None and same else secrets.token_hex(12)
        await self._tokens.store(token_id, tokens)
        await self._ledger.store_record(name_record(subject), name.encode(), until=MAX_TIME)
        return self._issue(subject, token_id, HubAccount(name, member, member is None), SESSION_S)

    def program_token(self, caller: Caller) -> str:
        """A token for the caller's programs: it opens no page, makes no token, and ends with the session."""
        if caller.account is None:
            raise ValueError("only who signed in with Hugging Face has a session")
        return self._issue(
            caller.subject, caller.token_id, replace(caller.account, program=True), self._lasts_s(caller)
        )

    def with_payer(self, caller: Caller, *, own_credit: bool) -> str:
        """The session's token, with who pays from now on. Raises: InvalidRequest where that one does not pay for this caller."""
        account = caller.account
        if account is None or not (self._credit.own if own_credit else account.member):
            raise InvalidRequest("payer", param="payer")
        account = replace(account, own_credit=own_credit)
        return self._issue(caller.subject, caller.token_id, account, self._lasts_s(caller))

    async def end(self, token: str) -> None:
        """Forget the Hugging Face tokens of the session with this token, and refuse its own from now on.

        A session that has expired, or that nobody pays for any more, ends like any other. What is no session is left as it is.
        Raises: StoreUnavailable.
        """
        try:
            caller = verify_token(self._secret, token, _NO_LIMITS, self._clock(), also_expired=True)
        except InvalidToken:
            return
        if caller.account is None or caller.account.program:
            return
        await self._ledger.revoke(caller.token_id, self._clock() + SESSION_S, subject=caller.subject)
        await self._tokens.forget(caller.token_id)

    def _issue(self, subject: str, token_id: str, account: HubAccount, ttl_s: int) -> str:
        now = int(self._clock())
        return issue_token(self._secret, subject, ttl_s=ttl_s, account=account, token_id=token_id, now=now)

    def _lasts_s(self, caller: Caller) -> int:
        return max(int(caller.expires_at - int(self._clock())), 1)

    async def _membership(self, tokens: ProviderTokens, claims: dict[str, Any]) -> str | None:
        member = self._credit.membership(_names(claims))
        if member is None and self._credit.members and "orgs" not in claims:
            member = self._credit.membership(_names(await self._provider.userinfo(tokens, claims["sub"])))
        return member


def frame_id(frame_secret: str) -> str:
    """The id of a frame, which may stand in an address: only who has its secret, in a cookie, gets the session."""
    return hashlib.sha256(frame_secret.encode()).hexdigest()


def _frame_record(frame: str) -> str:
    return f"frame:{frame}"


def _names(claims: dict[str, Any]) -> list[str]:
    """The names of a person and of their organisations, as Hugging Face writes them."""
    organisations = claims.get("orgs")
    entries = [claims, *(organisations if isinstance(organisations, list) else [])]
    names = [entry.get("preferred_username") for entry in entries if isinstance(entry, dict)]
    # They are ASCII: no other letter passes for one that looks alike.
    return [name for name in names if isinstance(name, str) and name.isascii()]


def _provider_failed(failure: ProviderError) -> SignInFailed:
    log_event(logger, logging.WARNING, "provider_failed", cause=str(failure))
    error = SignInFailed("sign_in_provider")
    error.fault = "upstream"
    return error
