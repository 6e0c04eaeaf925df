"""Token commands, `python -m hfchat token`: issue a token, explain one, revoke one."""

import argparse
import logging
import os
import sys
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import TypeVar

from hfchat.auth.own_tokens import invite_link, issue_token, verify_token
from hfchat.auth.policy import MAX_MODELS, PolicyClaim
from hfchat.auth.revocation import revocation, token_in
from hfchat.auth.verifier import Verifier
from hfchat.chat.token_count import SHORT_PROMPT
from hfchat.cli.ledger import ledger_exists, warn_of_new_ledger, with_ledger
from hfchat.config.settings import Settings, SettingsError, find_dotenv, load_settings
from hfchat.errors import HfchatError, InvalidToken, StoreUnavailable
from hfchat.factory import make_verifier
from hfchat.http.error_response import say
from hfchat.http.session_cookie import MAX_COOKIE_TOKEN
from hfchat.ledger.ledger import Ledger
from hfchat.ledger.open_store import MEMORY
from hfchat.logs import configure_logging, log_event
from hfchat.types import OWN_ISSUER, Caller, Policy

logger = logging.getLogger(__name__)

T = TypeVar("T")


def issue_command(args: argparse.Namespace) -> int:
    """Print a token, or an invite link."""
    settings, key = _settings_and_key()
    policy = PolicyClaim(args.models, args.rate, args.budget, args.streams, args.max_tokens)
    ttl_s = max(round(args.days * 86_400), 1)
    try:
        token = issue_token(key, args.subject, ttl_s=ttl_s, scopes=tuple(args.scope.split()), policy=policy)
    except InvalidToken:
        raise ValueError(
            f"--models: up to {MAX_MODELS} models' ids, comma-separated, such as meta-llama/Llama-3.2-3B-Instruct:fastest"
        ) from None
    caller = verify_token(key, token, settings.policy)
    _warn(args, settings, caller, token)
    configure_logging(settings.hfchat_log_format)
    log_event(logger, logging.INFO, "token_issued", subject=caller.subject, jti=caller.token_id)
    print(invite_link(settings.public_url or settings.local_url, token) if args.link else token)
    return 0


def _warn(args: argparse.Namespace, settings: Settings, caller: Caller, token: str) -> None:
    """Warn of what will surprise the token's user."""
    if caller.subject != args.subject:
        print(f"Its subject is written {caller.subject}: the same name in one spelling for all.", file=sys.stderr)
    if len(token) > MAX_COOKIE_TOKEN:
        print("It names so many models that no browser keeps it: it is good for programs only.", file=sys.stderr)
    if args.link and settings.public_url is None:
        print(
            "This link opens on this machine only: set HFCHAT_PUBLIC_URL for links that others open.", file=sys.stderr
        )
    not_offered = [
        model for model in args.models or () if settings.policy.models and model not in settings.policy.models
    ]
    if not_offered:
        print(f"Not offered by HF_CHAT_MODELS, so not usable: {', '.join(not_offered)}.", file=sys.stderr)
    warn_of_small_budget(caller.policy, max_tokens="--max-tokens")


def warn_of_small_budget(policy: Policy, max_tokens: str) -> None:
    """Warn of a budget that is too small for any question; `max_tokens` is the name of the other limit that could change."""
    turn_tokens = policy.default_tokens + SHORT_PROMPT
    smallest = min((limit.amount for limit in policy.budget), default=turn_tokens)
    if smallest < turn_tokens:
        print(
            f"A question and its reply may cost {turn_tokens} tokens, more than the whole budget of {smallest}: nothing can be "
            f"asked. Give a larger --budget or a smaller {max_tokens}.",
            file=sys.stderr,
        )


def show_command(args: argparse.Namespace) -> int:
    """Print a token's claims in words, and whether it is valid."""
    settings = _settings_with_key()

    async def verify(ledger: Ledger, verifier: Verifier) -> Caller:
        caller = await verifier.verify(token_in(args.token) or args.token.strip())
        if settings.hfchat_store != MEMORY and ledger_exists(settings):
            await ledger.quota(caller)
        return caller

    caller = _answer(settings, verify)
    if caller is None:
        return 1
    until = datetime.fromtimestamp(caller.expires_at, UTC).strftime("%Y-%m-%d %H:%M UTC")
    print(f"Good until {until}.")
    for name, value in _explained(caller):
        print(f"{name}: {value}")
    return 0


def _explained(caller: Caller) -> list[tuple[str, str]]:
    policy = caller.policy
    return [
        ("subject", caller.subject),
        *([("issuer", caller.issuer or "none")] if caller.issuer != OWN_ISSUER else []),
        ("scope", " ".join(sorted(caller.scopes))),
        ("jti", caller.token_id),
        ("models", "all" if policy.models is None else ", ".join(sorted(policy.models)) or "none that is offered"),
        ("rate", " and ".join(map(str, policy.rate))),
        ("budget", " and ".join(map(str, policy.budget))),
        ("streams", str(policy.streams)),
        ("max_tokens", str(policy.max_tokens)),
    ]


def revoke_command(args: argparse.Namespace) -> int:
    """Revoke a token."""
    settings = load_settings(os.environ, find_dotenv())
    if not ledger_exists(settings):
        warn_of_new_ledger(settings)

    token_id = _answer(settings, lambda ledger, verifier: revocation(verifier, ledger)(args.token))
    if token_id is None:
        return 1
    print(f"revoked: {token_id}")
    return 0


def _answer(settings: Settings, use: Callable[[Ledger, Verifier], Awaitable[T]]) -> T | None:
    """The result of `use`; None, with the reason printed, where the token is refused. Raises: StoreUnavailable."""

    async def run(ledger: Ledger) -> T:
        verifier = make_verifier(settings)
        try:
            return await use(ledger, verifier)
        finally:
            await verifier.close()

    try:
        return with_ledger(settings, run)
    except StoreUnavailable:
        raise
    except HfchatError as error:
        message, _ = say(error, "en")
        print(f"No: {message[:1].lower()}{message[1:]}")
        return None


def _settings_with_key() -> Settings:
    settings = load_settings(os.environ, find_dotenv())
    if settings.key_made_for_this_run or not settings.has_key:
        raise SettingsError(
            "JWT_SECRET: it is not set, so there is no key to sign with. Make one with: python -m hfchat secret — "
            "and write it into .env as JWT_SECRET=..."
        )
    return settings


def _settings_and_key() -> tuple[Settings, bytes]:
    settings = _settings_with_key()
    if settings.signing_key is None:
        raise SettingsError(
            "JWT_SECRET: it is not set, and only with it tokens are issued here; the others come from their own issuer."
        )
    return settings, settings.signing_key
