"""Deploy, `python -m hfchat deploy OWNER/SPACE`: puts this program up as a Space, changes it, or takes it down."""

import argparse
import asyncio
import os
import secrets
import sys
from pathlib import Path

from hfchat.auth.own_tokens import invite_link, issue_token
from hfchat.check.machine import ask_copy
from hfchat.config.rules import KEYS
from hfchat.config.settings import SettingsError, find_dotenv
from hfchat.config.validators import SECRET_BYTES, signing_key
from hfchat.deploy.build import POLL_S, wait_for_build
from hfchat.deploy.dotenv_file import read_dotenv, write_jwt_secret
from hfchat.deploy.plan import Plan, default_bucket, make_plan
from hfchat.deploy.refusals import DeployError, HubFailed
from hfchat.deploy.space import Space, State, signed_in_token
from hfchat.deploy.steps import steps
from hfchat.types import ADMIN_SCOPE, CHAT_SCOPE, HUB_URL
from hfchat.upstream.hub_bucket import HubBucket

ROOT = Path(__file__).parents[2]
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
    new_secret = None if any(name in values for name in KEYS) else secrets.token_urlsafe(SECRET_BYTES)
    if os.environ.get("JWT_SECRET", "").strip() not in ("", values.get("JWT_SECRET")):
        raise SettingsError("JWT_SECRET: the environment has one that .env has not; write it into .env, or unset it.")
    bucket = default_bucket(args.space, dotenv)
    plan = make_plan(args.space, ROOT, dotenv, jwt_secret=new_secret, bucket=bucket)
    space = _space(args.space, values)
    state = space.state()
    if bucket is not None and not args.dry_run and (trouble := _bucket_trouble(plan, space, state)) is not None:
        _say(trouble)
        plan = make_plan(args.space, ROOT, dotenv, jwt_secret=new_secret)
    for note in plan.notes:
        _say(note)
    todo = steps(plan, space, state, hardware=args.hardware, private=args.private)
    if args.dry_run:
        lines = [f"Make a JWT_SECRET and write it into {dotenv}."] if new_secret else []
        print("\n".join([*lines, *(step.says for step in todo)]) or "Nothing: it is as it is to be.")
        return 0
    if new_secret:
        write_jwt_secret(dotenv, new_secret)
        _say(f"Made a JWT_SECRET and wrote it into {dotenv}.")
    for step in todo:
        _say(step.says)
        step.make()
    if todo or state is None:
        state = space.state()
    if state is None:
        raise DeployError(f"The Space {args.space} has vanished. Run the command again.")
    wait_for_build(space, state.sha, _say, restarts=any(step.restarts for step in todo), poll_s=POLL_S)
    _print_result(plan, state.url)
    if bucket is not None and plan.bucket is not None:  # `.env` does not name it
        copy = f"HFCHAT_STORE_COPY={plan.secrets['HFCHAT_STORE_COPY']}"
        print(f"Its ledger, from here: {copy} python -m hfchat usage; write the same before person and token revoke.")
    return 0


def _bucket_trouble(plan: Plan, space: Space, state: State | None) -> str | None:
    """Make the bucket that the owner did not name, and try it with the token that the Space will use; why it cannot be used.

    So a token that may only call models gets a Space all the same. Where the Space has a bucket, nothing is tried: a failure
    would take its ledger away.
    Raises: DeployError where the Hub fails.
    """
    name = "HFCHAT_STORE_COPY"
    bucket, address = plan.bucket or "", plan.secrets[name]
    if state is not None and name in state.secrets:
        return None
    try:
        private = space.bucket_private(bucket)
        if private is None:
            _say(f"Create the private bucket {bucket}.")
            space.create_bucket(bucket)
    except HubFailed:
        raise
    except DeployError as refused:
        return str(refused)
    if private is False:
        return None  # `steps` refuses it
    hf_token = plan.secrets["HUGGINGFACE_API_TOKEN"]
    answer = asyncio.run(ask_copy(HubBucket(address, hf_token=hf_token, endpoint=space.endpoint)))
    if answer.status == "good":
        return None
    return f"The bucket {bucket} cannot keep the ledger: {answer.params.get('cause', 'it is public')}."


def _print_result(plan: Plan, url: str) -> None:
    print(f"The page: {url}")
    secret = plan.secrets.get("JWT_SECRET")
    if secret is None:
        print("People sign in with the tokens of the issuer whose key is set.")
        return
    if not plan.takes_tokens:
        print("Next: people sign in there with Hugging Face.")
        return
    token = issue_token(signing_key(secret), "owner", ttl_s=LINK_TTL_S, scopes=(CHAT_SCOPE, ADMIN_SCOPE))
    print(f"Your own invite link, good for a day: {invite_link(url, token)}")
    print(f"Next, let people in: HFCHAT_PUBLIC_URL={url} python -m hfchat token issue NAME --days 7 --link")


def _delete(args: argparse.Namespace) -> int:
    space = _space(args.space, read_dotenv(find_dotenv()))
    state = space.state()
    if state is None:
        print(f"There is no Space {args.space}.")
        return 0
    if args.dry_run:
        print(f"Delete the Space {args.space}, with its secrets.")
        return 0
    print(f"This takes {args.space} down for ever. Type its name to go on: ", end="", file=sys.stderr, flush=True)
    if sys.stdin.readline().strip() != args.space:
        raise DeployError("Nothing was deleted.")
    space.delete()
    if "HFCHAT_STORE_COPY" in state.secrets:
        _say("The bucket with its ledger stays: delete it too, at Hugging Face, where nobody needs it any more.")
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
