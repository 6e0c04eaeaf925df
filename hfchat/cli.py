"""`python -m hfchat`: an answer alone on stdout, what is wrong on stderr; exits 0, 1 (the answer is no) or 2 (usage)."""

import argparse
import os
import secrets
import sys
from datetime import UTC, datetime

from hfchat.error_body import say
from hfchat.errors import ExpiredToken, HfchatError
from hfchat.settings import SECRET_BYTES, Settings, SettingsError, find_dotenv, load_settings
from hfchat.tokens import SCOPES, issue_token, verify_token
from hfchat.types import CHAT_SCOPE


def main(arguments: list[str] | None = None) -> int:
    """Run one command. Returns the exit status."""
    asked = _parser().parse_args(arguments)
    try:
        return int(asked.command(asked))
    except (SettingsError, ValueError) as wrong:
        print(wrong, file=sys.stderr)
        return 2


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m hfchat", description="Issue and check tokens for hfchat.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    token = commands.add_parser("token", help="issue a token, or explain one")
    tokens = token.add_subparsers(required=True, metavar="COMMAND")

    issue = tokens.add_parser("issue", help="a token for a person or a program")
    issue.add_argument("subject", help="whose token it is, for example alice")
    issue.add_argument("--days", type=_days, required=True, help="how long it is good for")
    issue.add_argument("--scope", default=CHAT_SCOPE, help=f"space-separated, out of: {' '.join(SCOPES)}")
    issue.add_argument("--link", action="store_true", help="print an invite link instead of the token")
    issue.set_defaults(command=_issue)

    show = tokens.add_parser("show", help="what a token says and whether it is good")
    show.add_argument("token")
    show.set_defaults(command=_show)

    secret = commands.add_parser("secret", help="a fresh JWT_SECRET")
    secret.set_defaults(command=_secret)
    return parser


def _days(text: str) -> float:
    try:
        days = float(text)
    except ValueError:
        days = 0
    if not 0 < days <= 3660:
        raise argparse.ArgumentTypeError("it must be a number more than 0 and at most 3660")
    return days


def _issue(asked: argparse.Namespace) -> int:
    settings, key = _settings_and_key()
    ttl_s = max(round(asked.days * 86_400), 1)
    token = issue_token(key, asked.subject, ttl_s=ttl_s, scopes=tuple(asked.scope.split()))
    if asked.link and settings.public_url is None:
        print(
            "This link opens on this machine only: set HFCHAT_PUBLIC_URL for links that others open.", file=sys.stderr
        )
    print(f"{settings.public_url or settings.local_url}/login?token={token}" if asked.link else token)
    return 0


def _show(asked: argparse.Namespace) -> int:
    _, key = _settings_and_key()
    try:
        caller = verify_token(key, asked.token.strip().rpartition("token=")[2])
    except ExpiredToken:
        print("No: this token has expired.")
        return 1
    except HfchatError as refused:
        print(f"No: {say(refused, 'en')[0]}")
        return 1
    until = datetime.fromtimestamp(caller.expires_at, UTC).strftime("%Y-%m-%d %H:%M UTC")
    print(
        f"Good until {until}.\nsubject: {caller.subject}\nscope: {' '.join(sorted(caller.scopes))}\njti: {caller.token_id}"
    )
    return 0


def _secret(_: argparse.Namespace) -> int:
    print(secrets.token_urlsafe(SECRET_BYTES))
    return 0


def _settings_and_key() -> tuple[Settings, str]:
    settings = load_settings(os.environ, find_dotenv())
    if settings.jwt_secret is None or settings.key_made_for_this_run:
        raise SettingsError(
            "JWT_SECRET: it is not set, so there is no key to sign with. Make one with: python -m hfchat secret — "
            "and write it into .env as JWT_SECRET=..."
        )
    return settings, settings.jwt_secret.get_secret_value()
