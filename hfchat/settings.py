"""The environment and `.env` as one checked, frozen `Settings`; it refuses what is wrong or unsafe, by the variable's name.

Only `app`, `serve` and `cli` see it; everything else is handed plain values.
"""

import difflib
import io
import ipaddress
import re
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

from dotenv.parser import parse_stream
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, SecretStr, ValidationError

from hfchat.types import MODEL_ID

ROUTER_URL = "https://router.huggingface.co/v1"
SECRET_BYTES = 32

_PLACEHOLDER = re.compile(
    r"secret|password|passphrase|change.?me|example|placeholder|sample|replace|insert|your[-_. ]|^<.*>$|\.\.\."
    r"|x{6}|0123456789|abcdefgh",
    re.IGNORECASE,
)


# Rules for the tokens of others: ignored, they would seem to hold.
_NOT_YET = {"JWT_PUBLIC_KEY", "JWT_JWKS_URL", "JWT_ALGORITHMS", "JWT_ISSUER", "JWT_AUDIENCE", "JWT_SUBJECT_CLAIM"}
# pydantic's words, where ours are plainer.
_SAID = {
    "int_parsing": "it is not a whole number",
    "int_from_float": "it is not a whole number",
    "float_parsing": "it is not a number",
    "greater_than_equal": "it must be {ge} or more",
    "greater_than": "it must be more than {gt}",
    "less_than_equal": "it must be {le} or less",
    "literal_error": "it must be {expected}",
    "string_too_long": "it is longer than {max_length} characters",
}


class SettingsError(Exception):
    """The program cannot start like this. Its text has a line for each variable: what is wrong, what to write instead."""


def _not_a_placeholder(value: str, what_to_do: str) -> str:
    # A long random value may well have a word in front of it: prod-jwt-secret-5f3c...
    tail = re.search(r"([0-9a-f]{32,}|[\w+/]{40,}=*)$", value)
    random = tail is not None and len(set(tail[0])) >= 12 and not _PLACEHOLDER.search(tail[0])
    if len(set(value)) < 10 or (_PLACEHOLDER.search(value) and not random):
        raise ValueError(f"it looks like a sample, not a real one; {what_to_do}")
    return value


def _jwt_secret(value: str) -> str:
    make = "make one with: python -m hfchat secret"
    if len(value.encode()) < SECRET_BYTES:
        raise ValueError(f"it has {len(value.encode())} bytes and needs {SECRET_BYTES} or more (RFC 7518 3.2); {make}")
    return _not_a_placeholder(value, make)


def _hf_token(value: str) -> str:
    make = "copy the token again from https://huggingface.co/settings/tokens, or leave the variable out"
    if re.search(r"\s", value) or not value.isascii() or not value.isprintable():
        raise ValueError(f"it has a space, a line break or another stray character inside; {make}")
    if value.startswith("hf_"):
        _not_a_placeholder(value, make)
    return value


def _url(value: str, example: str = ROUTER_URL) -> str:
    try:
        parts = urlsplit(value)
        good = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        good = False
    if not good or not value.isascii() or re.search(r"\s", value):
        raise ValueError(f"it is not a whole address, from http:// or https:// on; write for example {example}")
    if parts.username or parts.password or parts.query or parts.fragment:
        raise ValueError("an address with a user name, a `?` or a `#` is not taken; write it without")
    return value.rstrip("/")


def _base_url(value: str) -> str:
    url = _url(value)
    if urlsplit(url).hostname == "api-inference.huggingface.co":
        raise ValueError(f"this address is retired (it answers 410); write {ROUTER_URL} or leave the variable out")
    return url.removesuffix("/chat/completions")


def _origin(value: str) -> str:
    example = "https://app.example.org"
    origin = _url(value, example)
    if urlsplit(origin).path:
        raise ValueError(f"{value!r} has a path; write only the beginning, for example {example}")
    return origin.lower()  # as browsers send it


def _server_name(value: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9.:\-]{1,253}", value):
        raise ValueError("it is not an address or a host's name; write 127.0.0.1, or 0.0.0.0 to let other machines in")
    return value


def _organisation(value: str) -> str:
    if not re.fullmatch(r"[\w.\-]{1,100}", value):
        raise ValueError("it is not an organisation's name on Hugging Face; write it as in huggingface.co/NAME")
    return value


def _lower(value: str) -> str:
    return value.lower()


def _model(value: str) -> str:
    if not MODEL_ID.fullmatch(value):
        raise ValueError(f"{value!r} is not a model's id; write for example meta-llama/Llama-3.2-3B-Instruct:fastest")
    return value


def _model_or_all(value: str) -> str:
    return value if value == "*" else _model(value)


def _comma_separated(value: object) -> object:
    return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value


def _checked(check: object) -> BeforeValidator:
    return BeforeValidator(lambda value: check(value.strip()) if isinstance(value, str) else value)  # type: ignore[operator]


Model = Annotated[str, _checked(_model)]


class Settings(BaseModel):
    """Every setting by its variable's name in lower case. Made by `load_settings`; a secret shows in no repr."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    huggingface_api_token: Annotated[SecretStr, _checked(_hf_token)] | None = Field(
        None, description="The owner's Hugging Face token, with “Make calls to Inference Providers”."
    )
    hf_chat_model: Model = Field("meta-llama/Llama-3.2-3B-Instruct:fastest", description="The default model.")
    hf_chat_models: Annotated[
        tuple[Annotated[str, _checked(_model_or_all)], ...], BeforeValidator(_comma_separated)
    ] = Field((), description="Models that people may choose from, comma-separated; `*` for all.")
    hf_chat_fallback_models: Annotated[tuple[Model, ...], BeforeValidator(_comma_separated)] = Field(
        (), description="Models tried in order when one cannot answer, comma-separated."
    )
    hf_chat_base_url: Annotated[str, _checked(_base_url)] = Field(
        ROUTER_URL, description="Any server that speaks chat completions; another than the default needs no token."
    )
    hf_chat_bill_to: Annotated[str, _checked(_organisation)] | None = Field(
        None, description="The organisation to bill, by its name on Hugging Face."
    )
    hf_chat_system_prompt: str | None = Field(
        None, description="The owner's system prompt; no caller can remove it.", max_length=100_000, repr=False
    )
    hf_chat_max_tokens: int = Field(1024, ge=1, le=1_000_000, description="What a reply may cost at most, in tokens.")
    hf_chat_timeout_s: float = Field(
        60, gt=0, le=3600, description="The longest silence in seconds, before the first token and between tokens."
    )
    jwt_secret: Annotated[SecretStr, _checked(_jwt_secret)] | None = Field(
        None, description="The key that signs tokens (HS256), 32 bytes or more."
    )
    hfchat_cors_origins: Annotated[tuple[Annotated[str, _checked(_origin)], ...], BeforeValidator(_comma_separated)] = (
        Field((), description="Browser origins that may call the API, comma-separated.")
    )
    hfchat_public_url: Annotated[str, _checked(_origin)] | None = Field(
        None, description="The address in links; needed behind a reverse proxy."
    )
    hfchat_log_format: Annotated[Literal["text", "json"], _checked(_lower)] = Field(
        "text", description="`json` for machines."
    )
    gradio_server_name: Annotated[str, _checked(_server_name)] = Field(
        "127.0.0.1", description="The address to listen on: 127.0.0.1, 0.0.0.0 or a host's name."
    )
    gradio_server_port: int = Field(7860, ge=1, le=65535, description="The port to listen on.")
    space_id: str | None = Field(None, description="Set by Hugging Face on a Space.")
    space_host: str | None = Field(None, description="Set by Hugging Face on a Space.", pattern=r"^[\w.\-]+$")
    key_made_for_this_run: bool = Field(False, description="Whether `jwt_secret` was made at start.")

    @property
    def allowed_models(self) -> frozenset[str] | None:
        """The models that may be named; None where the owner wrote `*`. The default model is always one of them."""
        if "*" in self.hf_chat_models:
            return None
        return frozenset((self.hf_chat_model, *self.hf_chat_models))

    @property
    def offline(self) -> bool:
        """Whether the stand-in answers: no token, and the address is one that needs it."""
        return self.huggingface_api_token is None and self.hf_chat_base_url == ROUTER_URL

    @property
    def public_url(self) -> str | None:
        """The address people use, where it is known beforehand."""
        return self.hfchat_public_url or (f"https://{self.space_host}" if self.space_host else None)

    @property
    def reached_by_others(self) -> bool:
        """Whether other machines can open it, on any Space or beyond loopback."""
        return self.space_id is not None or not is_loopback(self.gradio_server_name)

    @property
    def local_url(self) -> str:
        """The address the program listens on, as a browser on the same machine writes it."""
        name = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(self.gradio_server_name, self.gradio_server_name)  # noqa: S104
        return f"http://{f'[{name}]' if ':' in name else name}:{self.gradio_server_port}"


def is_loopback(name: str) -> bool:
    """Whether a server that listens on this name or address is reached from its own machine only."""
    if name == "localhost":
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


def load_settings(environ: Mapping[str, str], dotenv: Path | None = None) -> Settings:
    """The settings from the environment, and from the file `dotenv` for what the environment leaves out.

    An empty value counts as absent, and in the environment makes the file's absent too. Raises: `SettingsError`, with
    every fault in one text, where a value is wrong, a variable's name is not ours, or strangers could come in.
    """
    values = {name: value.strip() for name, value in {**_read(dotenv), **environ}.items() if value.strip()}
    ours = {name.lower(): value for name, value in values.items() if name in _variables()}
    token_name = "HUGGINGFACE_API_TOKEN" if "HUGGINGFACE_API_TOKEN" in values else "HF_TOKEN"
    ours["huggingface_api_token"] = values.get(token_name, "")
    if values.get("SPACE_ID"):
        ours.setdefault("gradio_server_name", "0.0.0.0")  # noqa: S104  a Space forwards to it from outside
    problems = _strange_names(values) + _open_to_strangers(ours)
    try:
        settings = Settings.model_validate({name: value for name, value in ours.items() if value})
    except ValidationError as invalid:
        raise SettingsError("\n".join(problems + _explain(invalid, token_name))) from None
    problems += _token_for_another_server(settings, token_name)
    if problems:
        raise SettingsError("\n".join(problems))
    if settings.jwt_secret is not None or settings.space_id is not None:
        return settings
    made = {"jwt_secret": SecretStr(secrets.token_urlsafe(SECRET_BYTES)), "key_made_for_this_run": True}
    return settings.model_copy(update=made)


def find_dotenv() -> Path:
    """The file `.env` of the folder that the program was started in, or else the one beside `app.py`."""
    here = Path(".env")
    return here if here.is_file() else Path(__file__).resolve().parent.parent / ".env"


def _variables() -> list[str]:
    return [name.upper() for name in Settings.model_fields if name != "key_made_for_this_run"]


def _open_to_strangers(ours: Mapping[str, str]) -> list[str]:
    name = ours.get("gradio_server_name", "127.0.0.1")
    if "jwt_secret" in ours or "space_id" in ours or is_loopback(name):
        return []
    return [
        f"JWT_SECRET: it is not set, and GRADIO_SERVER_NAME={name} can be reached by others. "
        "Make a key with: python -m hfchat secret — and write it into .env as JWT_SECRET=..., "
        "or leave GRADIO_SERVER_NAME out to listen on this machine only."
    ]


def _read(dotenv: Path | None) -> dict[str, str]:
    if dotenv is None or not dotenv.is_file():
        return {}
    try:
        # utf-8-sig: Windows' editors begin a file with a BOM, which would become part of the first name.
        text = dotenv.read_text("utf-8-sig")
    except (OSError, UnicodeDecodeError) as unreadable:
        raise SettingsError(f"{dotenv.name}: it cannot be read as UTF-8 text ({type(unreadable).__name__})") from None
    lines = list(parse_stream(io.StringIO(text)))
    # python-dotenv itself would skip such a line with a warning: a setting that silently does not hold.
    bad = [str(line.original.line) for line in lines if line.error]
    if bad:
        raise SettingsError(f"{dotenv.name}: line {', '.join(bad)} is not NAME=value; look for a quote left open")
    return {line.key: line.value for line in lines if line.key and line.value is not None}


def _strange_names(values: Mapping[str, str]) -> list[str]:
    problems = []
    for name in values:
        if name.upper().startswith(("HFCHAT_", "HF_CHAT_")) and name not in _variables():
            near = difflib.get_close_matches(name.upper(), _variables(), n=1, cutoff=0.75)
            advice = f"did you mean {near[0]}?" if near else "remove it."
            problems.append(f"{name}: this version has no such setting; {advice}")
        elif name in _NOT_YET:
            problems.append(f"{name}: this version takes its own tokens only, so this rule would not hold; remove it.")
    return problems


def _token_for_another_server(settings: Settings, token_name: str) -> list[str]:
    token = settings.huggingface_api_token
    if token is None or settings.hf_chat_base_url != ROUTER_URL or token.get_secret_value().startswith("hf_"):
        return []
    return [
        f"{token_name}: it does not begin with hf_, as Hugging Face's do; copy the token again from "
        "https://huggingface.co/settings/tokens, or set HF_CHAT_BASE_URL to the server that it is for"
    ]


def _explain(invalid: ValidationError, token_name: str) -> list[str]:
    lines = []
    for fault in invalid.errors(include_url=False, include_input=False):
        name = str(fault["loc"][0])
        said = _SAID.get(fault["type"], fault["msg"]).format(**fault.get("ctx", {})).removeprefix("Value error, ")
        written = token_name if name == "huggingface_api_token" else name.upper()
        lines.append(f"{written}: {said}. ({Settings.model_fields[name].description})")
    return lines
