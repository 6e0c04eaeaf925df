"""Deploy, `python -m hfchat deploy OWNER/SPACE`: puts this program up as a Space, changes it, or takes it down."""

import argparse
import os
import secrets
import sys
from pathlib import Path

from hfchat.auth.own_tokens import issue_token
from hfchat.config.rules import KEYS
from hfchat.config.settings import SettingsError, find_dotenv
from hfchat.config.validators import SECRET_BYTES, signing_key
from hfchat.deploy.build import POLL_S, wait_for_build
from hfchat.deploy.deploy import steps
from hfchat.deploy.dotenv_file import read_dotenv, write_jwt_secret
from hfchat.deploy.plan import Plan, make_plan
from hfchat.deploy.refusals import DeployError
from hfchat.deploy.space import Space, signed_in_token
from hfchat.types import ADMIN_SCOPE, CHAT_SCOPE

ROOT = Path(__file__).parents[2]
HUB_URL = "https://huggingface.co"
LINK_TTL_S = 24 * 3600


def deploy_command(args: argparse.Namespace) -> int:
    """Print the page's address, an invite link for its owner and the next step; what is being done goes to stderr."""
    try:
        return _delete(args) if args.delete else _deploy(args)
    except DeployError as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("Interrupted. Run the command again: it goes on where it ended.", file=sys.stderr)
        return 1


def _deploy(args: argparse.Namespace) -> int:
    dotenv = find_dotenv()
    values = read_dotenv(dotenv)
    made = None if any(name in values for name in KEYS) else secrets.token_urlsafe(SECRET_BYTES)
    if os.environ.get("JWT_SECRET", "").strip() not in ("", values.get("JWT_SECRET")):
        raise SettingsError("JWT_SECRET: the environment has one that .env has not; write it into .env, or unset it.")
    plan = make_plan(args.space, ROOT, dotenv, jwt_secret=made)
    for note in plan.notes:
        _say(note)
    space = _space(args.space, values)
    state = space.state()
    todo = steps(plan, space, state, hardware=args.hardware, private=args.private)
    if args.dry_run:
        lines = [f"Make a JWT_SECRET and write it into {dotenv}."] if made else []
        print("\n".join([*lines, *(step.says for step in todo)]) or "Nothing: it is as it is to be.")
        return 0
    if made:
        write_jwt_secret(dotenv, made)
        _say(f"Made a JWT_SECRET and wrote it into {dotenv}.")
    for step in todo:
        _say(step.says)
        step.make()
    if todo or state is None:
        state = space.state()
    if state is None:
        raise DeployError(f"The Space {args.space} has vanished. Run the command again.")
    wait_for_build(space, state.sha, _say, poll_s=POLL_S)
    _print_result(plan, state.url)
    return 0


def _print_result(plan: Plan, url: str) -> None:
    print(f"The page: {url}")
    secret = plan.secrets.get("JWT_SECRET")
    if secret is None:
        print("People sign in with the tokens of the issuer whose key is set.")
        return
    token = issue_token(signing_key(secret), "owner", ttl_s=LINK_TTL_S, scopes=(CHAT_SCOPE, ADMIN_SCOPE))
    print(f"Your own invite link, good for a day: {url}/login?token={token}")
    print(f"Next, let people in: HFCHAT_PUBLIC_URL={url} python -m hfchat token issue NAME --days 7 --link")


def _delete(args: argparse.Namespace) -> int:
    space = _space(args.space, read_dotenv(find_dotenv()))
    if space.state() is None:
        print(f"There is no Space {args.space}.")
        return 0
    if args.dry_run:
        print(f"Delete the Space {args.space}, with its secrets.")
        return 0
    print(f"This takes {args.space} down for ever. Type its name to go on: ", end="", file=sys.stderr, flush=True)
    if sys.stdin.readline().strip() != args.space:
        raise DeployError("Nothing was deleted.")
    space.delete()
    print(f"Deleted: {args.space}")
    return 0


def _space(repo_id: str, values: dict[str, str]) -> Space:
    """The Space, with the token of `hf auth login` or HF_TOKEN, or else the chat's own, which seldom may write."""
    token = signed_in_token() or values.get("HUGGINGFACE_API_TOKEN") or values.get("HF_TOKEN")
    if token is None:
        raise DeployError("Sign in first, with a token that may write: .venv/bin/hf auth login")
    endpoint = (os.environ.get("HF_ENDPOINT", "").strip() or HUB_URL).rstrip("/")
    return Space(repo_id, endpoint=endpoint, token=token)


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
