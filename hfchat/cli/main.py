"""Command line, `python -m hfchat`: results on stdout, errors on stderr; exits 0, 1 (a negative result) or 2 (an error)."""

import argparse
import re
import secrets
import sys
from collections.abc import Callable

from hfchat.auth.own_tokens import SCOPES
from hfchat.auth.policy import MAX_STREAMS
from hfchat.cli.person import DEFAULT, person_command, value_or_default
from hfchat.cli.token import issue_command, revoke_command, show_command
from hfchat.cli.usage import usage_command
from hfchat.config.settings import SettingsError
from hfchat.config.validators import SECRET_BYTES
from hfchat.errors import HfchatError
from hfchat.http.error_response import say
from hfchat.limits import Limit, parse_limit
from hfchat.types import CHAT_SCOPE, MAX_TOKENS


def main(arguments: list[str] | None = None) -> int:
    """Run one command; its exit status."""
    args = _parser().parse_args(arguments)
    try:
        return int(args.command(args))
    except (SettingsError, ValueError) as error:
        print(error, file=sys.stderr)
        return 2
    except HfchatError as error:
        print(*say(error, "en", to_owner=True), file=sys.stderr)
        return 2


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m hfchat",
        description="Issue and check tokens for hfchat; see who used what, and say who may use how much; check it, deploy it.",
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    token = commands.add_parser("token", help="issue a token, explain one, take one back")
    tokens = token.add_subparsers(required=True, metavar="COMMAND")

    issue = tokens.add_parser("issue", help="a token for a person or a program")
    issue.add_argument("subject", help="whose token it is, for example alice")
    issue.add_argument("--days", type=_days, required=True, help="how long it is good for")
    issue.add_argument(
        "--scope",
        default=CHAT_SCOPE,
        help=f"space-separated, out of: {' '.join(SCOPES)}; an admin revokes tokens over HTTP, and reads in errors what "
        "is for the owner only",
    )
    issue.add_argument("--models", type=_models, help="the only models it may use, comma-separated")
    issue.add_argument("--rate", type=_limit, help="requests, for example 10/minute")
    issue.add_argument("--budget", type=_limit, help="tokens of prompt and completion, for example 50000/day")
    issue.add_argument("--streams", type=_up_to(MAX_STREAMS), help="replies in progress at once")
    issue.add_argument("--max-tokens", type=_up_to(MAX_TOKENS), help="what one reply may cost")
    issue.add_argument(
        "--link",
        action="store_true",
        help="print an invite link instead of the token; it signs nobody in before its page's button is pressed",
    )
    issue.set_defaults(command=issue_command)

    show = tokens.add_parser("show", help="what a token says and whether it is good")
    show.add_argument("token", help="a token or an invite link")
    show.set_defaults(command=show_command)

    revoke = tokens.add_parser("revoke", help="refuse a token from now on, and end its replies in progress")
    revoke.add_argument(
        "token", metavar="TOKEN_OR_JTI", help="a token, an invite link, or a token's id as the log has it"
    )
    revoke.set_defaults(command=revoke_command)

    usage = commands.add_parser("usage", help="who used how much, ever")
    usage.add_argument("subject", nargs="?", help="of this person only")
    usage.add_argument("--csv", action="store_true", help="for a spreadsheet or a program")
    usage.set_defaults(command=usage_command)

    person = commands.add_parser(
        "person",
        help="block somebody, give them more or less, see what holds for them",
        description="What holds for a person, at once and at every door, whoever issued their tokens. A limit takes the place of "
        "the setting's, be it more or less; a limit inside a token still narrows it.",
    )
    person.add_argument("name", metavar="NAME", help="the subject of their tokens, for example alice")
    barred = person.add_mutually_exclusive_group()
    barred.add_argument(
        "--block",
        dest="blocked",
        action="store_true",
        default=None,
        help="let them in with no token; end their replies",
    )
    barred.add_argument("--unblock", dest="blocked", action="store_false", default=None, help="let them in again")
    or_default = f"; {DEFAULT} for the setting's"
    person.add_argument(
        "--budget", metavar="B", type=value_or_default(_limit), help=f"tokens, for example 50000/day{or_default}"
    )
    person.add_argument(
        "--rate", metavar="R", type=value_or_default(_limit), help=f"requests, for example 10/minute{or_default}"
    )
    person.add_argument(
        "--streams",
        metavar="N",
        type=value_or_default(_up_to(MAX_STREAMS)),
        help=f"replies in progress at once{or_default}",
    )
    person.add_argument(
        "--reset",
        action="store_true",
        help="forget what they used in the current minute, day, ... of rate and budget; the totals of `usage` stay",
    )
    person.set_defaults(command=person_command)

    check = commands.add_parser(
        "check",
        help="is everything set up: token, permission, credit, model, key, ledger, proxy",
        description="Asks Hugging Face, the model (a call of one token), the ledger, the port and the public address, and says "
        "what to do where something is wrong. Exits with 1 then.",
    )
    check.add_argument("--json", action="store_true", help="for a program")
    check.set_defaults(command=_check)

    deploy = commands.add_parser(
        "deploy",
        help="put this program up as a Hugging Face Space, or change that Space",
        description="Creates the Space, or changes what differs in it. Of .env, the keys, tokens, JWT_ settings, system prompt, "
        "members, who is billed, the ledger's address and its bucket become secrets, and the rest public variables. "
        "What a Space decides for itself is left out. "
        "Makes a JWT_SECRET where there is none. If it was interrupted, run it again: it goes on where it ended.",
    )
    deploy.add_argument("space", metavar="OWNER/SPACE", type=_space, help="the Space's name, for example ana/chat")
    deploy.add_argument("--dry-run", action="store_true", help="say what would be done, and do nothing")
    deploy.add_argument(
        "--hardware", metavar="NAME", type=_word, help="for example zero-a10g, which free accounts have"
    )
    deploy.add_argument("--private", action="store_true", help="only for those who may see it at Hugging Face")
    deploy.add_argument("--delete", action="store_true", help="take the Space down, after asking; its bucket stays")
    deploy.set_defaults(command=_deploy)

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


def _models(text: str) -> tuple[str, ...]:
    return tuple(model.strip() for model in text.split(",") if model.strip())


def _limit(text: str) -> Limit:
    try:
        return parse_limit(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _up_to(maximum: int) -> Callable[[str], int]:
    def read(text: str) -> int:
        if not text.isascii() or not text.isdigit() or not 1 <= int(text) <= maximum:
            raise argparse.ArgumentTypeError(f"it must be a whole number from 1 to {maximum}")
        return int(text)

    return read


def _space(text: str) -> str:
    if not re.fullmatch(r"[\w-][\w.-]{0,95}/[\w-][\w.-]{0,95}", text, re.ASCII):
        raise argparse.ArgumentTypeError("it must be OWNER/SPACE, of letters, digits, -, _ and .")
    return text


def _word(text: str) -> str:
    if not re.fullmatch(r"[\w-]{1,50}", text, re.ASCII):
        raise argparse.ArgumentTypeError("it must be a name, for example cpu-basic or zero-a10g")
    return text


def _deploy(args: argparse.Namespace) -> int:
    from hfchat.cli.deploy import deploy_command  # the Hub's client takes a second to import

    return deploy_command(args)


def _check(args: argparse.Namespace) -> int:
    from hfchat.cli.check import check_command  # the provider's client takes a second to import

    return check_command(args)


def _secret(_: argparse.Namespace) -> int:
    print(secrets.token_urlsafe(SECRET_BYTES))
    return 0
