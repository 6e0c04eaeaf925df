"""Plan of a Space: which files, secrets and variables it is to have, out of a clone and its `.env`. Pure but for reading.

A variable is public, and copied where somebody duplicates the Space; a secret is neither. What a Space decides for itself is
left out.
"""

import base64
import hashlib
import ipaddress
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from hfchat.config.addresses import is_loopback
from hfchat.config.settings import Settings, SettingsError, load_settings
from hfchat.deploy.dotenv_file import read_dotenv
from hfchat.ledger.open_store import MEMORY, SQLITE

# What the program starts from. Nothing else of the folder leaves the machine.
_FILES = ("README.md", "requirements.txt", "app.py", ".github/page.png")
_SUFFIXES = frozenset({".py", ".json", ".js", ".css", ".html", ".lua", ".md", ".txt", ".conf"})
_LICENCES = frozenset({"LICENSE", "NOTICE"})
# What is private, and what would do harm in a copy of the Space: another's bucket, members, bill and identity provider.
_SECRETS = frozenset(
    {
        "HFCHAT_STORE_COPY",
        "HFCHAT_MEMBERS",
        "HF_CHAT_BILL_TO",
        "HUGGINGFACE_API_TOKEN",
        "HF_CHAT_SYSTEM_PROMPT",
        "HFCHAT_STORE",
        "JWT_ALGORITHMS",
        "JWT_AUDIENCE",
        "JWT_ISSUER",
        "JWT_JWKS_URL",
        "JWT_PUBLIC_KEY",
        "JWT_REQUIRED_SCOPE",
        "JWT_SECRET",
        "JWT_SUBJECT_CLAIM",
        "OAUTH_CLIENT_SECRET",
    }
)
_DECIDED_BY_A_SPACE = (
    "GRADIO_SERVER_NAME",
    "GRADIO_SERVER_PORT",
    "HFCHAT_PUBLIC_URL",
    "SPACE_ID",
    "SPACE_HOST",
    "OAUTH_CLIENT_ID",
    "OAUTH_CLIENT_SECRET",
    "OAUTH_SCOPES",
    "OPENID_PROVIDER_URL",
)
# The Hub makes a long name shorter, in a way that is not documented; here it matters only that there is one.
_A_HOST = "a-space.hf.space"
# A Space reaches no other port (Hugging Face's documentation of Spaces).
_PORTS = frozenset({80, 443, 8080})
_SCHEME_PORTS = {"https": 443, "http": 80, "redis": 6379, "rediss": 6379, "valkey": 6379, "valkeys": 6379}
_BUCKETS = "hf://buckets/"
_BUCKET_ENDING = "-ledger"
_MAX_BUCKET_CHARS = 96
_FRONT_MATTER = re.compile(r"\A---\r?\n.*?(?=^---\r?$)", re.MULTILINE | re.DOTALL)
# A Space asks for these in any case.
_USUAL_SCOPES = frozenset({"openid", "profile"})
_OPTIONAL_REDIS = b"# redis>="


@dataclass(frozen=True, slots=True)
class Plan:
    """What the Space `repo_id` is to have: `files` by their path in it. `notes` are sentences for the owner.

    `takes_tokens`: people sign in there with tokens and invite links.
    """

    repo_id: str
    files: dict[str, bytes] = field(repr=False)
    secrets: dict[str, str] = field(repr=False)
    variables: dict[str, str]
    notes: tuple[str, ...] = ()
    takes_tokens: bool = True

    @property
    def bucket(self) -> str | None:
        """The bucket that keeps the ledger, as `OWNER/NAME`."""
        address = self.secrets.get("HFCHAT_STORE_COPY")
        return address.removeprefix(_BUCKETS) if address else None

    def fingerprint(self, name: str) -> str:
        """Tells whether a secret is still the one that was set, which nobody can read. Slow to guess (10 ms), and salted."""
        password = "\0".join((self.secrets[name], self.secrets.get("JWT_SECRET", "")))
        salt = f"{self.repo_id}\0{name}".encode()
        return hashlib.scrypt(password.encode(), salt=salt, n=2**12, r=8, p=1, dklen=12).hex()


def make_plan(
    repo_id: str, folder: Path, dotenv: Path, *, jwt_secret: str | None = None, bucket: str | None = None
) -> Plan:
    """The plan for a Space, from the clone in `folder`; `jwt_secret` is the one that `dotenv` is about to have.

    `bucket` keeps the ledger, where `dotenv` names none (see `default_bucket`).
    Raises: SettingsError where the program would not start there, or could not reach what is set.
    """
    values = read_dotenv(dotenv)
    if jwt_secret is not None:
        values["JWT_SECRET"] = jwt_secret
    if bucket is not None:
        values["HFCHAT_STORE_COPY"] = f"{_BUCKETS}{bucket}"
    with_hub = _signs_in_with_hub(values)
    on_space = dict.fromkeys(_DECIDED_BY_A_SPACE, "")
    on_space |= {"SPACE_ID": repo_id, "SPACE_HOST": _A_HOST}
    if with_hub:
        on_space |= {"OAUTH_CLIENT_ID": "the one of the Space", "OAUTH_SCOPES": values.get("OAUTH_SCOPES", "")}
    if values.get("HFCHAT_STORE", "").startswith((SQLITE, MEMORY)):
        on_space["HFCHAT_STORE"] = ""
    settings = load_settings({**values, **on_space}, dotenv)
    problems = _unreachable(values, on_space)
    if problems:
        raise SettingsError("\n".join(problems))
    defaults = Settings.model_validate({})
    wanted = {
        name: value
        for name, value in values.items()
        if name not in on_space
        and (field_name := name.lower()) in Settings.model_fields
        and getattr(settings, field_name) != getattr(defaults, field_name)
    }
    if settings.huggingface_api_token is not None:
        wanted["HUGGINGFACE_API_TOKEN"] = settings.huggingface_api_token.get_secret_value()
    if settings.jwt_public_key is not None:
        wanted["JWT_PUBLIC_KEY"] = settings.jwt_public_key.strip().replace("\n", "\\n")  # the file stays here
    files = program_files(folder)
    if with_hub:
        files["README.md"] = _with_oauth(files["README.md"], settings.oauth_scopes)
    if settings.hfchat_logo is not None:
        wanted["HFCHAT_LOGO"] = _add_logo(files, values["HFCHAT_LOGO"], settings.hfchat_logo)
    if "HFCHAT_STORE" in wanted:
        files["requirements.txt"] = files["requirements.txt"].replace(_OPTIONAL_REDIS, _OPTIONAL_REDIS[2:])
    return Plan(
        repo_id,
        files,
        secrets={name: value for name, value in wanted.items() if name in _SECRETS},
        variables={name: value for name, value in wanted.items() if name not in _SECRETS},
        notes=tuple(_notes(repo_id, values, wanted, settings)),
        takes_tokens="token" in settings.sign_in,
    )


def default_bucket(repo_id: str, dotenv: Path) -> str | None:
    """The bucket that keeps the ledger of a Space where its owner names none; None where there is nothing to keep in one.

    HFCHAT_STORE=memory:// says that the ledger is to be forgotten.
    """
    values = read_dotenv(dotenv)
    if "HFCHAT_STORE_COPY" in values or not values.get("HFCHAT_STORE", SQLITE).startswith(SQLITE):
        return None
    hf_token = values.get("HUGGINGFACE_API_TOKEN", values.get("HF_TOKEN", ""))
    return _bucket_of(repo_id) if hf_token.startswith("hf_") else None


def program_files(folder: Path) -> dict[str, bytes]:
    """The files that the program starts from, by their path in the Space. Raises: SettingsError where it is no clone."""
    missing = [name for name in _FILES if not (folder / name).is_file()]
    if missing:
        raise SettingsError(f"A Space is put up from a clone of hfchat: {folder} has no {', '.join(missing)}.")
    package = [
        path
        for path in sorted((folder / "hfchat").rglob("*"))
        if path.is_file()
        and (path.suffix in _SUFFIXES or path.name in _LICENCES)
        and not any(part.startswith(".") for part in path.relative_to(folder).parts)
    ]
    paths = [*(folder / name for name in _FILES), *package]
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths}


def _bucket_of(repo_id: str) -> str:
    owner, _, name = repo_id.partition("/")
    return f"{owner}/{name[: _MAX_BUCKET_CHARS - len(_BUCKET_ENDING)]}{_BUCKET_ENDING}"


def _signs_in_with_hub(values: Mapping[str, str]) -> bool:
    """Whether people are to sign in with Hugging Face; members can in no other way."""
    ways = [way.strip().lower() for way in values.get("HFCHAT_SIGN_IN", "").split(",") if way.strip()]
    return "huggingface" in ways if ways else "HFCHAT_MEMBERS" in values


def _with_oauth(readme: bytes, scopes: str) -> bytes:
    """The README, whose front matter asks the Space for an OAuth app (Hugging Face's documentation of Spaces)."""
    text = readme.decode("utf-8")
    front_matter = _FRONT_MATTER.match(text)
    if front_matter is None:
        raise SettingsError("README.md: it does not begin with the Space's settings; take it from hfchat's repository.")
    lines = re.sub(r"^hf_oauth:.*\n", "", front_matter[0], flags=re.MULTILINE) + "hf_oauth: true\n"
    more = [scope for scope in scopes.split() if scope not in _USUAL_SCOPES]
    if more and "\nhf_oauth_scopes:" not in lines:
        lines += "".join(["hf_oauth_scopes:\n", *(f"  - {scope}\n" for scope in more)])
    return f"{lines}{text[front_matter.end() :]}".encode()


def _add_logo(files: dict[str, bytes], name: str, data_url: str) -> str:
    """The logo's path in the Space: it may stand anywhere here."""
    path = f"logo{Path(name).suffix.lower()}"
    files[path] = base64.b64decode(data_url.partition(",")[2])
    return path


def _unreachable(values: Mapping[str, str], on_space: Mapping[str, str]) -> list[str]:
    problems = []
    for name in ("HF_CHAT_BASE_URL", "JWT_JWKS_URL", "HFCHAT_STORE"):
        url = on_space.get(name, values.get(name, ""))
        parts = urlsplit(url)
        if not url or not parts.hostname:
            continue
        if _is_private(parts.hostname):
            problems.append(f"{name}: a Space does not reach {parts.hostname}, which is in your own network.")
        elif (parts.port or _SCHEME_PORTS.get(parts.scheme, 0)) not in _PORTS:
            problems.append(
                f"{name}: a Space reaches the ports 80, 443 and 8080 only; let the server listen on one of them."
            )
    if values.get("HFCHAT_STORE", "").startswith("unix:"):
        problems.append("HFCHAT_STORE: a socket of this machine is not in the Space; write an address with a host.")
    return problems


def _is_private(host: str) -> bool:
    if is_loopback(host) or host.endswith((".local", ".internal", ".lan")):
        return True
    try:
        return not ipaddress.ip_address(host).is_global
    except ValueError:
        return "." not in host


def _notes(repo_id: str, values: Mapping[str, str], wanted: Mapping[str, str], settings: Settings) -> list[str]:
    notes = []
    if settings.offline:
        notes.append("HUGGINGFACE_API_TOKEN is not in .env: the offline stand-in will answer.")
    if settings.hfchat_store_copy is not None:
        notes.append(
            f"HUGGINGFACE_API_TOKEN must be allowed to write to the contents of {settings.hfchat_store_copy}: the ledger is kept "
            "there."
        )
    elif settings.hfchat_store.startswith((SQLITE, MEMORY)):
        notes.append(
            "The ledger is forgotten whenever the Space restarts: use counts from zero, and revoked tokens are good again. "
            f"To keep it in a private bucket, {_way_to_a_bucket(repo_id, values, settings)}, and run the command again; or let "
            "tokens end soon."
        )
    if "huggingface" in settings.sign_in:
        notes.append("People sign in with Hugging Face: the Space's README asks for it (hf_oauth).")
    left_out = [
        name
        for name in (*_DECIDED_BY_A_SPACE, "HFCHAT_STORE")
        if not (name == "OAUTH_SCOPES" and "huggingface" in settings.sign_in)
        and name in values
        and name not in wanted
        and values[name] != str(Settings.model_fields[name.lower()].default)
    ]
    if left_out:
        notes.append(f"Left out, because a Space decides it for itself: {', '.join(left_out)}.")
    return notes


def _way_to_a_bucket(repo_id: str, values: Mapping[str, str], settings: Settings) -> str:
    if values.get("HFCHAT_STORE") == MEMORY:
        return "take HFCHAT_STORE out of .env"
    hf_token = settings.huggingface_api_token
    if hf_token is None or not hf_token.get_secret_value().startswith("hf_"):
        return "write a token of Hugging Face that may write to your repositories into .env as HUGGINGFACE_API_TOKEN"
    return (
        f"give HUGGINGFACE_API_TOKEN, at https://huggingface.co/settings/tokens, write access to the contents of "
        f"{_bucket_of(repo_id)}"
    )
