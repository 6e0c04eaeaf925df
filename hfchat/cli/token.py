"""`python -m hfchat token`: issue a token, explain one, take one back."""

import argparse
import logging
import os
import sys
from datetime import UTC, datetime

from hfchat.auth.own_tokens import issue_token, verify_token
from hfchat.auth.policy import MAX_MODELS, PolicyClaim
from hfchat.auth.revocation import revocation, token_in
from hfchat.chat.token_count import SHORT_PROMPT
from hfchat.cli.ledger import ledger_is_there, warn_of_a_new_ledger, with_ledger
from hfchat.config.settings import Settings, SettingsError, find_dotenv, load_settings
from hfchat.errors import HfchatError, InvalidToken, StoreUnavailable
from hfchat.factory import make_verifier
from hfchat.http.error_response import say
from hfchat.http.session_cookie import MAX_COOKIE_TOKEN
from hfchat.ledger.ledger import Ledger
from hfchat.ledger.open_store import MEMORY
from hfchat.logs import configure_logging, log_event
from hfchat.types import OWN_ISSUER, Caller

logger = logging.getLogger(__name__)


def issue_command(asked: argparse.Namespace) -> int:
    """Print a token, or an invite link."""
    settings, key = _settings_and_key()
    policy = PolicyClaim(asked.models, asked.rate, asked.budget, asked.streams, asked.max_tokens)
    ttl_s = max(round(asked.days * 86_400), 1)
    try:
        token = issue_token(key, asked.subject, ttl_s=ttl_s, scopes=tuple(asked.scope.split()), policy=policy)
    except InvalidToken:
        raise ValueError(
            f"--models: up to {MAX_MODELS} models' ids, comma-separated, such as meta-llama/Llama-3.2-3B-Instruct:fastest"
        ) from None
    caller = verify_token(key, token, settings.policy)
    _warn(asked, settings, caller, token)
    configure_logging(settings.hfchat_log_format)
    log_event(logger, logging.INFO, "token_issued", subject=caller.subject, jti=caller.token_id)
    print(f"{settings.public_url or settings.local_url}/login?token={token}" if asked.link else token)
    return 0


def _warn(asked: argparse.Namespace, settings: Settings, caller: Caller, token: str) -> None:
    """Say what will surprise whoever uses the token."""
    if caller.subject != asked.subject:
        print(f"Its subject is written {caller.subject}: the same name in one spelling for all.", file=sys.stderr)
    if len(token) > MAX_COOKIE_TOKEN:
        print("It names so many models that no browser keeps it: it is good for programs only.", file=sys.stderr)
    if asked.link and settings.public_url is None:
        print(
            "This link opens on this machine only: set HFCHAT_PUBLIC_URL for links that others open.", file=sys.stderr
        )
    refused = [model for model in asked.models or () if settings.policy.models and model not in settings.policy.models]
    if refused:
        print(f"Not offered by HF_CHAT_MODELS, so not usable: {', '.join(refused)}.", file=sys.stderr)
    least = caller.policy.max_tokens + SHORT_PROMPT
    smallest = min((limit.amount for limit in caller.policy.budget), default=least)
    if smallest < least:
        print(
            f"A question and its reply may cost {least} tokens, more than the whole budget of {smallest}: nothing can be "
            "asked. Give a larger --budget or a smaller --max-tokens.",
            file=sys.stderr,
        )


def show_command(asked: argparse.Namespace) -> int:
    """Say in words what a token says and whether every door takes it."""
    settings = _settings_with_key()

    async def judge(ledger: Ledger) -> Caller:
        verifier = make_verifier(settings)
        try:
            caller = await verifier.verify(token_in(asked.token) or asked.token.strip())
        finally:
            await verifier.close()
        if settings.hfchat_store != MEMORY and ledger_is_there(settings):
            await ledger.quota(caller)
        return caller

    try:
        caller = with_ledger(settings, judge)
    except StoreUnavailable:
        raise
    except HfchatError as refused:
        print(f"No: {_lower_first(say(refused, 'en')[0])}")
        return 1
    until = datetime.fromtimestamp(caller.expires_at, UTC).strftime("%Y-%m-%d %H:%M UTC")
    print(f"Good until {until}.")
    for name, value in _explained(caller):
        print(f"{name}: {value}")
    return 0


def _lower_first(sentence: str) -> str:
    return sentence[:1].lower() + sentence[1:]


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


def revoke_command(asked: argparse.Namespace) -> int:
    """Take a token back."""
    settings = load_settings(os.environ, find_dotenv())
    if not ledger_is_there(settings):
        warn_of_a_new_ledger(settings)

    async def take_back(ledger: Ledger) -> str:
        verifier = make_verifier(settings)
        try:
            return await revocation(verifier, ledger)(asked.token)
        finally:
            await verifier.close()

    try:
        token_id = with_ledger(settings, take_back)
    except StoreUnavailable:
        raise
    except HfchatError as refused:
        print(f"No: {_lower_first(say(refused, 'en')[0])}")
        return 1
    print(f"revoked: {token_id}")
    return 0


def _settings_with_key() -> Settings:
    settings = load_settings(os.environ, find_dotenv())
    if settings.key_made_for_this_run or not settings.has_key:
        raise SettingsError(
            "JWT_SECRET: it is not set, so there is no key to sign with. Make one with: python -m hfchat secret — "
            "and write it into .env as JWT_SECRET=..."
        )
    return settings


def _settings_and_key() -> tuple[Settings, str]:
    settings = _settings_with_key()
    if settings.jwt_secret is None:
        raise SettingsError(
            "JWT_SECRET: it is not set, and only with it tokens are issued here; the others come from their own issuer."
        )
    return settings, settings.jwt_secret.get_secret_value()
