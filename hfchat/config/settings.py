"""Settings: the environment and `.env`, validated and frozen. A wrong or unsafe value is refused by the variable's name.

Only `app`, `server`, `factory`, `check`, `deploy` and `cli` know it; everything else is handed plain values.
"""

import io
import secrets
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Literal

from dotenv.parser import parse_stream
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, SecretStr, ValidationError

from hfchat.auth.hub_sessions import INFERENCE_SCOPE
from hfchat.auth.policy import MAX_STREAMS
from hfchat.config import addresses as address
from hfchat.config import rules as rule
from hfchat.config import validators as check
from hfchat.config.addresses import is_loopback
from hfchat.config.validators import SECRET_BYTES
from hfchat.ledger.open_store import SQLITE, sqlite_path
from hfchat.limits import Limit, parse_limit
from hfchat.types import HUB_URL, MAX_TOKENS, ROUTER_URL, Policy

# HFCHAT_STORE is one too, with a password in its address.
_SECRETS = ("JWT_SECRET", "HUGGINGFACE_API_TOKEN", "HF_TOKEN", "OAUTH_CLIENT_SECRET")
_SERVER_NAME = "127.0.0.1"
# Plainer than pydantic's messages.
_MESSAGES = {
    "int_parsing": "it is not a whole number",
    "int_from_float": "it is not a whole number",
    "float_parsing": "it is not a number",
    "greater_than_equal": "it must be {ge} or more",
    "greater_than": "it must be more than {gt}",
    "less_than_equal": "it must be {le} or less",
    "literal_error": "it must be {expected}",
    "string_too_long": "it is longer than {max_length} characters",
    "too_short": "it names nothing; write a value, or leave it empty",
    "too_long": "it has more than {max_length}",
}


class SettingsError(Exception):
    """The program cannot start with these settings. A line for each variable: what is wrong, what to write instead."""


def _checked(check: Callable[[str], object]) -> BeforeValidator:
    return BeforeValidator(lambda value: check(value.strip()) if isinstance(value, str) else value)


_LIST = BeforeValidator(check.comma_separated)
_Models = Annotated[tuple[Annotated[str, _checked(check.model)], ...], _LIST]
_ModelsOrAll = Annotated[tuple[Annotated[str, _checked(check.model_or_all)], ...], _LIST]
_Hosts = Annotated[tuple[Annotated[str, _checked(address.media_host)], ...], _LIST]
_Origins = Annotated[tuple[Annotated[str, _checked(address.cors_origin)], ...], _LIST]
_Examples = Annotated[
    tuple[Annotated[str, Field(max_length=200)], ...], BeforeValidator(check.bar_separated), Field(max_length=8)
]
# An empty list is refused: it would look set and restrict nothing.
_SOME = Field(min_length=1)
_Algorithms = Annotated[tuple[Annotated[str, _checked(check.algorithm)], ...], _LIST, _SOME]
_Issuers = Annotated[tuple[Annotated[str, _checked(check.issuer)], ...], _LIST, _SOME]
_Audiences = Annotated[tuple[Annotated[str, _checked(check.claim_value)], ...], _LIST, _SOME]
_SignIn = Annotated[tuple[Annotated[Literal["token", "huggingface"], _checked(str.lower)], ...], _LIST]
_Members = Annotated[tuple[Annotated[str, _checked(check.member)], ...], _LIST]
_Limit = Annotated[Limit, _checked(parse_limit)]


class Settings(BaseModel):
    """Every setting by its variable's name in lower case. Made by `load_settings`; a secret shows in no repr."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    huggingface_api_token: Annotated[SecretStr, _checked(check.hf_token)] | None = Field(
        None, description="The owner's Hugging Face token, with “Make calls to Inference Providers”."
    )
    hf_chat_model: Annotated[str, _checked(check.model)] = Field(
        "meta-llama/Llama-3.2-3B-Instruct:fastest", description="The default model."
    )
    hf_chat_models: _ModelsOrAll = Field(
        (), description="Models that people may choose from, comma-separated; `*` for all."
    )
    hf_chat_fallback_models: _Models = Field(
        (), description="Models tried in order when one cannot answer, comma-separated."
    )
    hf_chat_base_url: Annotated[str, _checked(address.base_url)] = Field(
        ROUTER_URL, description="Any server that speaks chat completions; another than the default needs no token."
    )
    hf_chat_media_hosts: _Hosts = Field(
        (), description="Hosts from which whoever answers may fetch pictures by https, comma-separated."
    )
    hf_chat_bill_to: Annotated[str, _checked(check.organisation)] | None = Field(
        None, description="The organisation to bill, by its name on Hugging Face."
    )
    hf_chat_system_prompt: str | None = Field(
        None, description="The owner's system prompt; no caller can remove it.", max_length=100_000, repr=False
    )
    hf_chat_max_tokens: int = Field(4096, ge=1, le=MAX_TOKENS, description="What a reply may cost at most, in tokens.")
    hf_chat_default_tokens: int = Field(
        1024, ge=1, le=MAX_TOKENS, description="What a reply may cost where the caller says nothing, in tokens."
    )
    hf_chat_timeout_s: float = Field(
        60, gt=0, le=3600, description="The longest silence in seconds, before the first token and between tokens."
    )
    jwt_secret: Annotated[SecretStr, _checked(check.jwt_secret)] | None = Field(
        None,
        description="The key that signs tokens (HS256), 32 bytes or more; `base64:` before one that is written so.",
    )
    jwt_public_key: Annotated[str, _checked(check.public_key)] | None = Field(
        None, description="The public key of a backend or provider, as PEM text or a file's name.", repr=False
    )
    jwt_jwks_url: Annotated[str, _checked(address.jwks_url)] | None = Field(
        None,
        description="The address where a provider publishes its public keys, or its discovery document.",
        repr=False,
    )
    jwt_algorithms: _Algorithms = Field((), description="The only algorithms that are taken, comma-separated.")
    jwt_issuer: _Issuers = Field(
        (), description="What `iss` of others' tokens must be, or one of these, comma-separated."
    )
    jwt_audience: _Audiences = Field(
        (), description="What `aud` of others' tokens must contain, or one of these, comma-separated."
    )
    jwt_required_scope: Annotated[str, _checked(check.scope)] | None = Field(
        None, description="The scope that others' tokens must have; without it, any may chat."
    )
    jwt_subject_claim: Annotated[str, _checked(check.claim_name)] = Field(
        check.SUBJECT_CLAIM, description="The claim that names the person in others' tokens."
    )
    hfchat_store: Annotated[str, _checked(address.store)] = Field(
        address.STORE, description="Where it is kept who has used how much.", repr=False
    )
    hfchat_store_copy: Annotated[str, _checked(address.store_copy)] | None = Field(
        None, description="The private bucket that keeps the ledger where the disk forgets, as on a Space."
    )
    hfchat_rate: _Limit = Field(Limit(30, "minute"), description="Requests per person.")
    hfchat_budget: _Limit = Field(Limit(200_000, "day"), description="Tokens of prompts and replies per person.")
    hfchat_streams: int = Field(4, ge=1, le=MAX_STREAMS, description="Replies in progress at once per person.")
    hfchat_patience_s: float = Field(
        20,
        ge=0,
        le=600,
        description="How long a caller is kept waiting for a retry or a place, in seconds; 0 is never.",
    )
    hfchat_sign_in: _SignIn = Field(
        (), description="How people sign in: `token`, `huggingface` or both, comma-separated."
    )
    hfchat_members: _Members = Field(
        (), description="Hugging Face users and organisations who chat on the owner's credit, comma-separated."
    )
    oauth_client_id: Annotated[str, _checked(check.claim_value)] | None = Field(
        None, description="The id of an OAuth app at Hugging Face; set by a Space with hf_oauth."
    )
    oauth_client_secret: Annotated[SecretStr, _checked(check.client_secret)] | None = Field(
        None, description="The OAuth app's secret; set by a Space with hf_oauth."
    )
    oauth_scopes: Annotated[str, _checked(check.scopes)] = Field(
        "openid profile inference-api",
        description="What people are asked to allow at Hugging Face, with spaces between.",
    )
    openid_provider_url: Annotated[str, _checked(address.provider)] = Field(
        HUB_URL, description="Where people sign in with Hugging Face; set by a Space with hf_oauth."
    )
    hfchat_cors_origins: _Origins = Field((), description="Browser origins that may call the API, comma-separated.")
    hfchat_keep_alive_s: int = Field(
        75, ge=1, le=3600, description="How long an idle connection is kept open, in seconds."
    )
    hfchat_public_url: Annotated[str, _checked(address.origin)] | None = Field(
        None, description="The address in links; needed behind a reverse proxy."
    )
    hfchat_title: str = Field("hfchat", description="The name of the chat page.", max_length=60)
    hfchat_greeting: str | None = Field(
        None, description="What stands on the page before the first question.", max_length=500
    )
    hfchat_examples: _Examples = Field((), description="Example questions, with | between them.")
    hfchat_logo: Annotated[str, _checked(check.logo)] | None = Field(
        None, description="A picture for the top of the page: a PNG, JPEG, WebP, GIF or SVG file.", repr=False
    )
    hfchat_accent: Annotated[str, _checked(check.colour)] = Field("#2563eb", description="The page's colour.")
    hfchat_log_format: Annotated[Literal["text", "json"], _checked(str.lower)] = Field(
        "text", description="`json` for machines."
    )
    gradio_server_name: Annotated[str, _checked(address.server_name)] = Field(
        _SERVER_NAME, description="The address to listen on: 127.0.0.1, 0.0.0.0 or a host's name."
    )
    gradio_server_port: int = Field(7860, ge=1, le=65535, description="The port to listen on.")
    space_id: str | None = Field(None, description="Set by Hugging Face on a Space.")
    space_host: Annotated[str, _checked(address.space_host)] | None = Field(
        None, description="Set by Hugging Face on a Space: its own host, then its custom domains, comma-separated."
    )
    key_made_for_this_run: bool = Field(False, description="Whether `jwt_secret` was made at start.")

    @property
    def allowed_models(self) -> frozenset[str] | None:
        """The models that may be named; None where the owner wrote `*`. The default model is always one of them."""
        if "*" in self.hf_chat_models:
            return None
        return frozenset((self.hf_chat_model, *self.hf_chat_models))

    @property
    def media_hosts(self) -> frozenset[str] | None:
        """The hosts whose pictures may be named by address; None is any, where the public router answers."""
        if not self.hf_chat_media_hosts and self.hf_chat_base_url == ROUTER_URL:
            return None
        return frozenset(self.hf_chat_media_hosts)

    @property
    def default_tokens(self) -> int:
        """The length of a reply where the caller says nothing. A lower HF_CHAT_MAX_TOKENS lowers it, where it is not set."""
        return min(self.hf_chat_default_tokens, self.hf_chat_max_tokens)

    @property
    def policy(self) -> Policy:
        """The owner's limits, which a token may narrow."""
        return Policy(
            default_model=self.hf_chat_model,
            models=self.allowed_models,
            fallback_models=self.hf_chat_fallback_models,
            max_tokens=self.hf_chat_max_tokens,
            default_tokens=self.default_tokens,
            rate=(self.hfchat_rate,),
            budget=(self.hfchat_budget,),
            streams=self.hfchat_streams,
        )

    @property
    def sign_in(self) -> frozenset[str]:
        """How people sign in: as the owner wrote; else with a token, and on a Space with `hf_oauth` with Hugging Face too."""
        with_hub = self.space_id is not None and self.oauth_client_id is not None
        return frozenset(self.hfchat_sign_in or ({"token", "huggingface"} if with_hub else {"token"}))

    @property
    def hub_origin(self) -> str | None:
        """Where Hugging Face sends people back to. It knows a Space by its own host only, not by a custom domain."""
        return f"https://{self.space_host.partition(',')[0]}" if self.space_host else self.hfchat_public_url

    @property
    def hub_sign_in(self) -> bool:
        """Whether people sign in with Hugging Face; not as long as a Space is closed for want of a key."""
        return "huggingface" in self.sign_in and self.jwt_secret is not None

    @property
    def own_credit(self) -> bool:
        """Whether people who sign in with Hugging Face may pay for themself: their token is for its router and for no other."""
        with_scope = INFERENCE_SCOPE in self.oauth_scopes.split()
        return "huggingface" in self.sign_in and with_scope and self.hf_chat_base_url == ROUTER_URL

    @property
    def has_key(self) -> bool:
        """Whether there is a key to verify tokens with; without one, all are refused."""
        return any(key is not None for key in (self.jwt_secret, self.jwt_public_key, self.jwt_jwks_url))

    @property
    def signing_key(self) -> bytes | None:
        """The bytes of `jwt_secret`."""
        return None if self.jwt_secret is None else check.signing_key(self.jwt_secret.get_secret_value())

    @property
    def offline(self) -> bool:
        """Whether the offline upstream answers: the router needs a token, and there is none."""
        return self.huggingface_api_token is None and self.hf_chat_base_url == ROUTER_URL

    @property
    def public_url(self) -> str | None:
        """The public address, where it is known: on a Space with custom domains, the last of them."""
        host = self.space_host.rpartition(",")[2] if self.space_host else None
        return self.hfchat_public_url or (f"https://{host}" if host else None)

    @property
    def reached_by_others(self) -> bool:
        """Whether other machines can open it, on any Space or beyond loopback."""
        return self.space_id is not None or not is_loopback(self.gradio_server_name)

    @property
    def local_url(self) -> str:
        """The address the program listens on, as a browser on the same machine writes it."""
        name = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(self.gradio_server_name, self.gradio_server_name)  # noqa: S104
        return f"http://{f'[{name}]' if ':' in name else name}:{self.gradio_server_port}"


def load_settings(environ: Mapping[str, str], dotenv: Path | None = None) -> Settings:
    """The settings from the environment, and from the file `dotenv` for what the environment leaves out.

    An empty value counts as absent, and in the environment makes the file's absent too. Relative paths begin at the folder
    of `dotenv`, whether or not it exists, so that all who find the same file find the same ledger. Raises: `SettingsError`,
    with every fault in one text, where a value is wrong, a variable's name is not ours, or strangers could come in.
    """
    values = {name: value.strip() for name, value in {**_read(dotenv), **environ}.items() if value.strip()}
    folder = (Path() if dotenv is None else dotenv.parent).resolve()
    token_name = "HUGGINGFACE_API_TOKEN" if "HUGGINGFACE_API_TOKEN" in values else "HF_TOKEN"
    fields = _fields(values, token_name, folder)
    problems = rule.names(values, _variables())
    problems += rule.keys(values, fields.get("gradio_server_name", _SERVER_NAME), on_space="SPACE_ID" in values)
    try:
        settings = Settings.model_validate(fields)
    except ValidationError as error:
        raise SettingsError("\n".join(problems + _explain(error, token_name))) from None
    problems += _problems_between(settings, token_name)
    if problems:
        raise SettingsError("\n".join(problems))
    if (path := sqlite_path(settings.hfchat_store)) is not None:
        settings = settings.model_copy(update={"hfchat_store": f"{SQLITE}{folder / path}"})
    if settings.has_key or settings.space_id is not None:
        return settings
    update = {"jwt_secret": SecretStr(secrets.token_urlsafe(SECRET_BYTES)), "key_made_for_this_run": True}
    return settings.model_copy(update=update)


def secret_files(settings: Settings, dotenv: Path) -> list[Path]:
    """The files that no other user of the machine should read: the ledger, and `dotenv` if it has a secret."""
    ledger = sqlite_path(settings.hfchat_store)
    values = _read(dotenv)
    secret = any(values.get(name, "").strip() for name in _SECRETS) or "@" in values.get("HFCHAT_STORE", "")
    return [*([dotenv] if secret else []), *([ledger] if ledger else [])]


def find_dotenv() -> Path:
    """The file `.env` of the working directory, or else the one beside `app.py`."""
    local = Path(".env")
    return local if local.is_file() else Path(__file__).resolve().parents[2] / ".env"


def _variables() -> list[str]:
    return [name.upper() for name in Settings.model_fields if name != "key_made_for_this_run"]


def _fields(values: Mapping[str, str], token_name: str, folder: Path) -> dict[str, str]:
    fields = {name.lower(): value for name, value in values.items() if name in _variables()}
    if token_name in values:
        fields["huggingface_api_token"] = values[token_name]
    if "JWT_PUBLIC_KEY" in values and "-----BEGIN" not in values["JWT_PUBLIC_KEY"]:
        fields["jwt_public_key"] = str(folder / values["JWT_PUBLIC_KEY"])
    if "HFCHAT_LOGO" in values:
        fields["hfchat_logo"] = str(folder / values["HFCHAT_LOGO"])
    if "SPACE_ID" in values:
        fields.setdefault("gradio_server_name", "0.0.0.0")  # noqa: S104  a Space forwards to it from outside
    return fields


def _problems_between(settings: Settings, token_name: str) -> list[str]:
    token = settings.huggingface_api_token
    return [
        *rule.hf_token(token.get_secret_value() if token else None, settings.hf_chat_base_url, token_name),
        *(
            rule.default_tokens(settings.hf_chat_default_tokens, settings.hf_chat_max_tokens)
            if "hf_chat_default_tokens" in settings.model_fields_set
            else []
        ),
        *rule.budget(settings.hfchat_budget, settings.default_tokens),
        *rule.store_copy(
            settings.hfchat_store_copy, settings.hfchat_store, token.get_secret_value() if token else None
        ),
        *rule.algorithms(
            settings.jwt_algorithms,
            secret=settings.signing_key,
            public_key=settings.jwt_public_key,
            jwks=settings.jwt_jwks_url is not None,
        ),
        *_sign_in_problems(settings),
    ]


def _sign_in_problems(settings: Settings) -> list[str]:
    if "huggingface" not in settings.sign_in:
        return rule.members_without_sign_in(settings.hfchat_members)
    closed = settings.space_id is not None and not settings.has_key
    router, members = settings.hf_chat_base_url == ROUTER_URL, bool(settings.hfchat_members)
    return [
        *rule.hub_sign_in(settings.hub_origin, secret=closed or settings.jwt_secret is not None),
        *rule.payers(router=router, own=settings.own_credit, members=members, owner=not settings.offline),
        *rule.client(settings.oauth_client_id, secret=settings.oauth_client_secret is not None),
    ]


def _read(dotenv: Path | None) -> dict[str, str]:
    if dotenv is None or not dotenv.is_file():
        return {}
    try:
        # utf-8-sig: editors on Windows write a BOM, which would become part of the first name.
        text = dotenv.read_text("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{dotenv.name}: it cannot be read as UTF-8 text ({type(error).__name__})") from None
    lines = list(parse_stream(io.StringIO(text)))
    # python-dotenv itself would only warn of such a line, and its setting would be missing.
    bad = [str(line.original.line) for line in lines if line.error]
    if bad:
        raise SettingsError(f"{dotenv.name}: line {', '.join(bad)} is not NAME=value; look for a quote left open")
    return {line.key: line.value for line in lines if line.key and line.value is not None}


def _explain(error: ValidationError, token_name: str) -> list[str]:
    lines = []
    for fault in error.errors(include_url=False, include_input=False):
        name = str(fault["loc"][0])
        message = (
            _MESSAGES.get(fault["type"], fault["msg"]).format(**fault.get("ctx", {})).removeprefix("Value error, ")
        )
        variable = token_name if name == "huggingface_api_token" else name.upper()
        lines.append(f"{variable}: {message}. ({Settings.model_fields[name].description})")
    return lines
