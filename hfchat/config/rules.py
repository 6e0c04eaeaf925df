"""Rules between settings: refuses a combination in which one would be silently ignored. Each fault is a line by its variable."""

import difflib
from collections.abc import Collection, Mapping

from hfchat.auth.own_tokens import ALGORITHM
from hfchat.auth.public_keys import PUBLIC_KEY_ALGORITHMS, algorithms_of, read_public_key
from hfchat.auth.verifier import HMAC_KEY_BYTES, hmac_algorithms
from hfchat.chat.token_count import SHORT_PROMPT
from hfchat.config.addresses import is_loopback
from hfchat.config.validators import SUBJECT_CLAIM
from hfchat.ledger.open_store import sqlite_path
from hfchat.limits import Limit
from hfchat.types import ROUTER_URL

KEYS = ("JWT_SECRET", "JWT_PUBLIC_KEY", "JWT_JWKS_URL")
# Rules for others' tokens, which are no use without a key to verify these.
_RULES = ("JWT_ALGORITHMS", "JWT_ISSUER", "JWT_AUDIENCE", "JWT_REQUIRED_SCOPE", "JWT_SUBJECT_CLAIM")


def names(values: Mapping[str, str], variables: Collection[str]) -> list[str]:
    """Unknown variables with a prefix of ours."""
    problems = []
    for name in values:
        if name.upper().startswith(("HFCHAT_", "HF_CHAT_")) and name not in variables:
            matches = difflib.get_close_matches(name.upper(), variables, n=1, cutoff=0.8)
            advice = f"did you mean {matches[0]}?" if matches else "remove it."
            problems.append(f"{name}: this version has no such setting; {advice}")
    return problems


def keys(values: Mapping[str, str], server_name: str, *, on_space: bool) -> list[str]:
    """No key on a public address, rules without a key, and two keys of which one would be ignored."""
    if "JWT_PUBLIC_KEY" in values and "JWT_JWKS_URL" in values:
        return ["JWT_PUBLIC_KEY: JWT_JWKS_URL is set too, and one of them would be ignored; remove one."]
    if any(name in values for name in KEYS):
        return []
    problems = [
        f"{name}: there is no key to check others' tokens with, so this rule would not hold; "
        f"set {', '.join(KEYS[:-1])} or {KEYS[-1]}, or remove it."
        for name in _RULES
        if name in values and (name, values[name]) != ("JWT_SUBJECT_CLAIM", SUBJECT_CLAIM)
    ]
    if not on_space and not is_loopback(server_name):
        problems.append(
            f"JWT_SECRET: it is not set, and GRADIO_SERVER_NAME={server_name} can be reached by others. "
            "Make a key with: python -m hfchat secret — and write it into .env as JWT_SECRET=..., "
            "or leave GRADIO_SERVER_NAME out to listen on this machine only."
        )
    return problems


def algorithms(allowed: Collection[str], *, secret: bytes | None, public_key: str | None, jwks: bool) -> list[str]:
    """Algorithms without a key, and keys without an algorithm."""
    hmac = hmac_algorithms(secret) if secret else frozenset()
    published = PUBLIC_KEY_ALGORITHMS if jwks else algorithms_of(read_public_key(public_key) if public_key else None)
    if not allowed or not (hmac or published):
        return []
    problems = []
    unsupported = [algorithm for algorithm in allowed if algorithm not in hmac | published]
    if unsupported:
        too_short = [algorithm for algorithm in unsupported if secret and algorithm in HMAC_KEY_BYTES]
        problems.append(
            f"JWT_ALGORITHMS: no key that is set can check {', '.join(unsupported)}; "
            f"write only some of {', '.join(sorted(hmac | published))}, or set a key for it."
            + "".join(f" {name} needs a JWT_SECRET of {HMAC_KEY_BYTES[name]} bytes." for name in too_short)
        )
    if hmac and ALGORITHM not in allowed:
        problems.append("JWT_ALGORITHMS: own tokens are HS256, with JWT_SECRET; add HS256, or remove JWT_SECRET.")
    if published and not published.intersection(allowed):
        name = "JWT_JWKS_URL" if jwks else "JWT_PUBLIC_KEY"
        problems.append(
            f"JWT_ALGORITHMS: with none of them {name} would be of use; "
            f"add one of {', '.join(sorted(published))}, or remove {name}."
        )
    return problems


def default_tokens(default: int, ceiling: int) -> list[str]:
    """A default length of a reply that nobody may have."""
    if default <= ceiling:
        return []
    return [
        f"HF_CHAT_DEFAULT_TOKENS: {default} is more than HF_CHAT_MAX_TOKENS={ceiling} allows; "
        f"write {ceiling} or less, or a larger HF_CHAT_MAX_TOKENS."
    ]


def budget(limit: Limit, default_tokens: int) -> list[str]:
    """A budget too small for a short question and a reply of the default length."""
    minimum = default_tokens + SHORT_PROMPT
    if limit.amount >= minimum:
        return []
    return [
        f"HFCHAT_BUDGET: {limit} is less than a question and a reply of HF_CHAT_DEFAULT_TOKENS={default_tokens} may cost, so "
        f"nobody could ask anything; write {minimum}/{limit.window} or more, or a smaller HF_CHAT_DEFAULT_TOKENS."
    ]


def store_copy(copy: str | None, store: str, token: str | None) -> list[str]:
    """A copy of a ledger that is not a file, and a copy without a token of Hugging Face."""
    if copy is None:
        return []
    problems = []
    if sqlite_path(store) is None:
        problems.append(
            f"HFCHAT_STORE_COPY: it is the copy of a file, and HFCHAT_STORE={store.partition('://')[0]}://... is none; a store "
            "that several machines share needs no copy. Remove one of the two."
        )
    if token is None or not token.startswith("hf_"):
        problems.append(
            "HFCHAT_STORE_COPY: a bucket needs a token of Hugging Face that may write to it; set HUGGINGFACE_API_TOKEN to one, "
            "with write access to the bucket's contents."
        )
    return problems


def hf_token(token: str | None, base_url: str, token_name: str) -> list[str]:
    """Another server's key that would be sent to Hugging Face."""
    if token is None or base_url != ROUTER_URL or token.startswith("hf_"):
        return []
    return [
        f"{token_name}: it does not begin with hf_, as Hugging Face's do; copy the token again from "
        "https://huggingface.co/settings/tokens, or set HF_CHAT_BASE_URL to the server that it is for"
    ]


def members_without_sign_in(members: Collection[str]) -> list[str]:
    """Members, where nobody can show that they are one."""
    if not members:
        return []
    return [
        "HFCHAT_MEMBERS: nobody signs in with Hugging Face here, so nobody would be a member; "
        "set HFCHAT_SIGN_IN=huggingface, or token,huggingface, or remove it."
    ]


def hub_sign_in(origin: str | None, *, secret: bool) -> list[str]:
    """A sign-in with Hugging Face that is unsafe or could not be finished."""
    problems = []
    if not secret:
        problems.append(
            "HFCHAT_SIGN_IN: the sessions of people who sign in with Hugging Face are signed with JWT_SECRET, which is not set. "
            "Make one with: python -m hfchat secret — and write it into .env as JWT_SECRET=..., or remove huggingface."
        )
    if origin is None or not origin.startswith("https://"):
        problems.append(
            "HFCHAT_PUBLIC_URL: Hugging Face sends people back to this address after they sign in, over https only; "
            "write it as https://chat.example.org, or remove huggingface from HFCHAT_SIGN_IN."
        )
    return problems


def payers(*, router: bool, own: bool, members: bool, owner: bool) -> list[str]:
    """A sign-in with Hugging Face after which nobody could chat, because nobody pays."""
    if own or (members and owner):
        return []
    if not router:
        return [
            "HFCHAT_MEMBERS: with HF_CHAT_BASE_URL nobody pays for themself, so only members may chat, and there are none; "
            "name the Hugging Face users and organisations who may."
        ]
    return [
        "OAUTH_SCOPES: without inference-api nobody pays for themself, and there is nobody for whom the owner pays; add it (on a "
        "Space under hf_oauth_scopes in README.md), or set HFCHAT_MEMBERS and HUGGINGFACE_API_TOKEN, or HFCHAT_SIGN_IN=token."
    ]


def client(client_id: str | None, *, secret: bool) -> list[str]:
    """A secret of no client, which would be ignored."""
    if client_id is not None or not secret:
        return []
    return ["OAUTH_CLIENT_SECRET: it belongs to an OAuth app, whose id is missing; set OAUTH_CLIENT_ID, or remove it."]
