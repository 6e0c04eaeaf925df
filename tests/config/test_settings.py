"""The environment and `.env` as settings: what is taken, what is refused, and how it is said."""

import base64
import re
import secrets
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from pydantic import ValidationError

from hfchat.auth.verifier import Verifier
from hfchat.config.addresses import is_loopback
from hfchat.config.settings import Settings, SettingsError, load_settings
from hfchat.factory import make_credit
from hfchat.limits import Limit
from hfchat.types import ROUTER_URL, Policy
from tests.conftest import KEY
from tests.support.identity_provider import private_key, public_pem
from tests.support.rows import each_row

HF_TOKEN = "hf_" + "QzWxEcRvTbYnUmIkOlPq" + "2345"


def make_settings(**variables: str) -> Settings:
    return load_settings({"JWT_SECRET": KEY, **variables})


def load(**variables: str) -> Settings:
    return load_settings(variables)


def refusal(environ: dict[str, str], dotenv: Path | None = None) -> str:
    with pytest.raises(SettingsError) as refused:
        load_settings(environ, dotenv)
    return str(refused.value)


def without_store(settings: Settings) -> dict[str, Any]:
    """The settings but for the place of the ledger, which is the folder's."""
    return settings.model_dump(exclude={"hfchat_store"})


def dotenv(folder: Path, content: str | bytes) -> Path:
    path = folder / ".env"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


DEFAULTS: dict[str, Any] = {
    "huggingface_api_token": None,
    "hfchat_title": "hfchat",
    "hfchat_greeting": None,
    "hfchat_examples": (),
    "hfchat_logo": None,
    "hfchat_accent": "#2563eb",
    "hf_chat_model": "meta-llama/Llama-3.2-3B-Instruct:fastest",
    "hf_chat_models": (),
    "hf_chat_fallback_models": (),
    "hf_chat_base_url": "https://router.huggingface.co/v1",
    "hf_chat_media_hosts": (),
    "hf_chat_bill_to": None,
    "hf_chat_system_prompt": None,
    "hf_chat_max_tokens": 4096,
    "hf_chat_default_tokens": 1024,
    "hf_chat_timeout_s": 60,
    "jwt_secret": KEY,
    "jwt_public_key": None,
    "jwt_jwks_url": None,
    "jwt_algorithms": (),
    "jwt_issuer": (),
    "jwt_audience": (),
    "jwt_required_scope": None,
    "jwt_subject_claim": "sub",
    "hfchat_store": f"sqlite:///{Path.cwd().resolve()}/.hfchat/ledger.db",
    "hfchat_store_copy": None,
    "hfchat_rate": Limit(30, "minute"),
    "hfchat_budget": Limit(200_000, "day"),
    "hfchat_streams": 4,
    "hfchat_patience_s": 20,
    "hfchat_sign_in": (),
    "hfchat_members": (),
    "oauth_client_id": None,
    "oauth_client_secret": None,
    "oauth_scopes": "openid profile inference-api",
    "openid_provider_url": "https://huggingface.co",
    "hfchat_cors_origins": (),
    "hfchat_keep_alive_s": 75,
    "hfchat_public_url": None,
    "hfchat_log_format": "text",
    "gradio_server_name": "127.0.0.1",
    "gradio_server_port": 7860,
    "space_id": None,
    "space_host": None,
    "key_made_for_this_run": False,
}


def plain(value: Any) -> Any:
    return value.get_secret_value() if hasattr(value, "get_secret_value") else value


@each_row(("field", "value"), DEFAULTS.items(), ids=DEFAULTS)
def test_a_setting_that_is_left_out_has_its_default(field: str, value: Any) -> None:
    assert plain(getattr(make_settings(), field)) == value


def test_the_table_of_defaults_is_whole() -> None:
    assert set(DEFAULTS) == set(Settings.model_fields)


GOOD: list[tuple[str, str, Any]] = [
    ("HUGGINGFACE_API_TOKEN", HF_TOKEN, HF_TOKEN),
    ("HF_CHAT_MODEL", "Qwen/Qwen3-4B:cheapest", "Qwen/Qwen3-4B:cheapest"),
    ("HF_CHAT_MODEL", " llama3.2:3b ", "llama3.2:3b"),
    ("HF_CHAT_MODELS", "a/b, c/d:novita ,,e", ("a/b", "c/d:novita", "e")),
    ("HF_CHAT_MODELS", "*", ("*",)),
    ("HF_CHAT_FALLBACK_MODELS", "a/b,c/d", ("a/b", "c/d")),
    ("HF_CHAT_BASE_URL", "http://localhost:11434/v1/", "http://localhost:11434/v1"),
    ("HF_CHAT_BASE_URL", "http://[::1]:8080/v1/chat/completions", "http://[::1]:8080/v1"),
    ("HF_CHAT_BILL_TO", "my-org", "my-org"),
    ("HF_CHAT_SYSTEM_PROMPT", "Answer in verse.\nAlways.", "Answer in verse.\nAlways."),
    ("HF_CHAT_MAX_TOKENS", "1", 1),
    ("HF_CHAT_MAX_TOKENS", "1000000", 1_000_000),
    ("HF_CHAT_DEFAULT_TOKENS", "1", 1),
    ("HF_CHAT_DEFAULT_TOKENS", "4096", 4096),
    ("HF_CHAT_TIMEOUT_S", "0.5", 0.5),
    ("HFCHAT_PATIENCE_S", "0", 0),
    ("HFCHAT_PATIENCE_S", "600", 600),
    ("HF_CHAT_TIMEOUT_S", "3600", 3600),
    ("JWT_JWKS_URL", "https://login.example.org/keys/?tenant=5", "https://login.example.org/keys/?tenant=5"),
    ("JWT_JWKS_URL", "http://localhost:8080/jwks.json", "http://localhost:8080/jwks.json"),
    ("JWT_JWKS_URL", "http://[::1]/jwks.json", "http://[::1]/jwks.json"),
    ("JWT_ALGORITHMS", "HS256", ("HS256",)),
    ("JWT_ISSUER", "https://login.example.org/", ("https://login.example.org/",)),
    ("JWT_ISSUER", "HFCHAT", ("HFCHAT",)),
    ("JWT_ISSUER", "accounts.google.com, https://accounts.google.com", ("accounts.google.com", "https://accounts.google.com")),
    ("JWT_AUDIENCE", "my chat", ("my chat",)),
    ("JWT_AUDIENCE", "my-chat,api://other ,", ("my-chat", "api://other")),
    ("JWT_REQUIRED_SCOPE", "chat:use", "chat:use"),
    ("JWT_REQUIRED_SCOPE", "https://api.example.org/chat.use", "https://api.example.org/chat.use"),
    ("JWT_SUBJECT_CLAIM", "id", "id"),
    ("JWT_SUBJECT_CLAIM", "https://app.example.org/user-id", "https://app.example.org/user-id"),
    ("HFCHAT_STORE", "memory://", "memory://"),
    ("HFCHAT_STORE", "MEMORY://", "memory://"),
    ("HFCHAT_STORE", "sqlite:////var/lib/hfchat.db", "sqlite:////var/lib/hfchat.db"),
    ("HFCHAT_STORE", "redis://localhost", "redis://localhost"),
    ("HFCHAT_STORE", "rediss://me:p%40w@redis.example.org:6380/2?ssl_cert_reqs=none", "rediss://me:p%40w@redis.example.org:6380/2?ssl_cert_reqs=none"),
    ("HFCHAT_STORE", "redis://:pw@[::1]:6379/0", "redis://:pw@[::1]:6379/0"),
    ("HFCHAT_STORE", "valkey://host/0", "valkey://host/0"),
    ("HFCHAT_STORE", "valkeys://host", "valkeys://host"),
    ("HFCHAT_STORE", "unix:///run/redis.sock?db=1", "unix:///run/redis.sock?db=1"),
    ("HFCHAT_RATE", "5 / Hour", Limit(5, "hour")),
    ("HFCHAT_BUDGET", "1124/month", Limit(1124, "month")),
    ("HFCHAT_STREAMS", "1", 1),
    ("HFCHAT_STREAMS", "10000", 10_000),
    ("HF_CHAT_MEDIA_HOSTS", "Pictures.Example.org, xn--bcher-kva.example", ("pictures.example.org", "xn--bcher-kva.example")),
    ("HFCHAT_CORS_ORIGINS", "https://App.Example.org/, http://localhost:5173", ("https://app.example.org", "http://localhost:5173")),
    ("HFCHAT_CORS_ORIGINS", "https://a.example:443, http://b.example:80/", ("https://a.example", "http://b.example")),
    ("HFCHAT_CORS_ORIGINS", "http://[::1]:8080,http://b.example:8080", ("http://[::1]:8080", "http://b.example:8080")),
    ("HFCHAT_CORS_ORIGINS", "app://obsidian.md,chrome-extension://mhnlakgi", ("app://obsidian.md", "chrome-extension://mhnlakgi")),
    ("HFCHAT_CORS_ORIGINS", "Tauri://localhost,capacitor://localhost/", ("tauri://localhost", "capacitor://localhost")),
    ("HFCHAT_CORS_ORIGINS", "vscode-webview://1aBc,moz-extension://2c12-62c7", ("vscode-webview://1aBc", "moz-extension://2c12-62c7")),
    ("HFCHAT_CORS_ORIGINS", "ionic://localhost:8100", ("ionic://localhost:8100",)),
    ("HFCHAT_KEEP_ALIVE_S", "620", 620),
    ("OAUTH_CLIENT_ID", "c0ffee-12", "c0ffee-12"),
    ("OAUTH_SCOPES", "inference-api  email", "openid profile inference-api email"),
    ("OPENID_PROVIDER_URL", "https://huggingface.co/", "https://huggingface.co"),
    ("OPENID_PROVIDER_URL", "http://127.0.0.1:8080", "http://127.0.0.1:8080"),
    ("HFCHAT_PUBLIC_URL", "https://chat.example.org/", "https://chat.example.org"),
    ("HFCHAT_LOG_FORMAT", "json", "json"),
    ("GRADIO_SERVER_NAME", "::1", "::1"),
    ("GRADIO_SERVER_NAME", "my-host.local", "my-host.local"),
    ("GRADIO_SERVER_PORT", "1", 1),
    ("GRADIO_SERVER_PORT", "65535", 65535),
    ("SPACE_ID", "someone/chat", "someone/chat"),
    ("SPACE_HOST", "someone-chat.hf.space", "someone-chat.hf.space"),
    ("SPACE_HOST", "someone-chat.hf.space,Chat.Example.org", "someone-chat.hf.space,chat.example.org"),
]  # fmt: skip


@each_row(("name", "written", "value"), GOOD, ids=[f"{name}={written[:30]}" for name, written, _ in GOOD])
def test_a_good_value_is_taken(name: str, written: str, value: Any) -> None:
    assert plain(getattr(make_settings(**{name: written}), name.lower())) == value


# variable, what is written, what is said of it, what is said to write instead
WRONG = [
    ("HFCHAT_TITLE", "x" * 61, "longer than 60", ""),
    ("HFCHAT_GREETING", "x" * 501, "longer than 500", ""),
    ("HFCHAT_EXAMPLES", "x" * 201, "longer than 200", ""),
    ("HFCHAT_EXAMPLES", "x|" * 9, "more than 8", ""),
    ("HFCHAT_ACCENT", "blue", "not a colour", "#2563eb"),
    ("HFCHAT_ACCENT", "#12345", "not a colour", "#2563eb"),
    ("HFCHAT_LOGO", "/no/such/file.png", "no file", "PNG"),
    ("HFCHAT_LOGO", "/proc/self/status", "no such picture", "PNG"),
    ("HFCHAT_LOGO", "/dev/zero", "more than 100,000 bytes", "smaller"),
    ("HUGGINGFACE_API_TOKEN", "hf_" + "x" * 34, "looks like a sample", "https://huggingface.co/settings/tokens"),
    ("HUGGINGFACE_API_TOKEN", "hf_...", "looks like a sample", "copy the token again"),
    ("HUGGINGFACE_API_TOKEN", "hf_your_token_here", "looks like a sample", "copy the token again"),
    ("HUGGINGFACE_API_TOKEN", "<paste it here>", "a space", "copy the token again"),
    ("HUGGINGFACE_API_TOKEN", f"{HF_TOKEN[:9]}\n{HF_TOKEN[9:]}", "a line break", "copy the token again"),
    ("HUGGINGFACE_API_TOKEN", f"{HF_TOKEN}\u200b", "stray character", "copy the token again"),
    ("HUGGINGFACE_API_TOKEN", "sk-0a9b8c7d6e5f", "does not begin with hf_", "HF_CHAT_BASE_URL"),
    ("HF_TOKEN", "sk-0a9b8c7d6e5f", "does not begin with hf_", "copy the token again"),
    ("HF_TOKEN", "hf_...", "looks like a sample", "copy the token again"),
    ("HF_CHAT_MODEL", "llama three", "'llama three' is not a model's id", "meta-llama/Llama-3.2-3B-Instruct:fastest"),
    ("HF_CHAT_MODEL", "https://huggingface.co/a/b", "is not a model's id", "write for example"),
    ("HF_CHAT_MODEL", "https://a/b", "is not a model's id", "write for example"),
    ("HF_CHAT_MODELS", "a/b c/d", "'a/b c/d' is not a model's id", "comma-separated"),
    ("HF_CHAT_MODELS", "a/b,**", "'**' is not a model's id", "`*` for all"),
    ("HF_CHAT_FALLBACK_MODELS", "a/b,*", "'*' is not a model's id", "write for example"),
    ("HF_CHAT_BASE_URL", "localhost:11434/v1", "is not a whole address", "http://"),
    ("HF_CHAT_BASE_URL", "ftp://localhost/v1", "is not a whole address", ROUTER_URL),
    ("HF_CHAT_BASE_URL", "http://", "is not a whole address", ROUTER_URL),
    ("HF_CHAT_BASE_URL", "http://host:port/v1", "is not a whole address", ROUTER_URL),
    ("HF_CHAT_BASE_URL", "http://host:70000/v1", "is not a whole address", ROUTER_URL),
    ("HF_CHAT_BASE_URL", "http://[::1/v1", "is not a whole address", ROUTER_URL),
    ("HF_CHAT_BASE_URL", "http://ho st/v1", "is not a whole address", ROUTER_URL),
    ("HF_CHAT_BASE_URL", "http://hóst/v1", "is not a whole address", ROUTER_URL),
    ("HF_CHAT_BASE_URL", "http://me:1@host/v1", "a user name", "write it without"),
    ("HF_CHAT_BASE_URL", "http://host/v1?key=1", "a `?`", "write it without"),
    ("HF_CHAT_BASE_URL", "https://api-inference.huggingface.co/models/a/b", "is retired", ROUTER_URL),
    ("HF_CHAT_BILL_TO", "my org", "not an organisation", "huggingface.co/NAME"),
    ("HF_CHAT_BILL_TO", "o" * 101, "not an organisation", "huggingface.co/NAME"),
    ("HF_CHAT_SYSTEM_PROMPT", "a" * 100_001, "longer than 100000", "system prompt"),
    ("HF_CHAT_MAX_TOKENS", "0", "must be 1 or more", "in tokens"),
    ("HF_CHAT_MAX_TOKENS", "1000001", "must be 1000000 or less", "in tokens"),
    ("HF_CHAT_MAX_TOKENS", "many", "not a whole number", "in tokens"),
    ("HF_CHAT_MAX_TOKENS", "1.5", "not a whole number", "in tokens"),
    ("HF_CHAT_DEFAULT_TOKENS", "0", "must be 1 or more", "in tokens"),
    ("HF_CHAT_DEFAULT_TOKENS", "1000001", "must be 1000000 or less", "in tokens"),
    ("HF_CHAT_DEFAULT_TOKENS", "many", "not a whole number", "in tokens"),
    ("HF_CHAT_DEFAULT_TOKENS", "4097", "more than HF_CHAT_MAX_TOKENS=4096 allows", "write 4096 or less"),
    ("HF_CHAT_TIMEOUT_S", "0", "more than 0", "in seconds"),
    ("HFCHAT_PATIENCE_S", "-1", "0 or more", "in seconds"),
    ("HFCHAT_PATIENCE_S", "601", "600", "in seconds"),
    ("HFCHAT_PATIENCE_S", "soon", "not a number", "in seconds"),
    ("HF_CHAT_TIMEOUT_S", "-1", "more than 0", "in seconds"),
    ("HF_CHAT_TIMEOUT_S", "nan", "must be 3600.0 or less", "in seconds"),
    ("HF_CHAT_TIMEOUT_S", "inf", "must be 3600.0 or less", "in seconds"),
    ("HF_CHAT_TIMEOUT_S", "60s", "not a number", "in seconds"),
    ("JWT_SECRET", "-----BEGIN PUBLIC KEY-----", "no key for HS256", "JWT_PUBLIC_KEY"),
    ("JWT_SECRET", "ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAABgQC7", "no key for HS256", "JWT_PUBLIC_KEY"),
    ("JWT_JWKS_URL", "login.example.org/jwks.json", "is not a whole address", "https://login.example.org/"),
    ("JWT_JWKS_URL", "file:///etc/jwks.json", "is not a whole address", "https://login.example.org/"),
    ("JWT_JWKS_URL", "https://", "is not a whole address", "https://login.example.org/"),
    ("JWT_JWKS_URL", "http://login.example.org/jwks.json", "keys of their own", "write https://"),
    ("JWT_JWKS_URL", "http://127.0.0.1.nip.io/jwks.json", "keys of their own", "write https://"),
    ("JWT_JWKS_URL", "https://me:pw@login.example.org/jwks", "a user name", "write it without"),
    ("JWT_JWKS_URL", "https://@login.example.org/jwks", "a user name", "write it without"),
    ("JWT_JWKS_URL", "https://login.example.org/jwks#a", "a `#`", "write it without"),
    ("JWT_ALGORITHMS", "HS256,none", "'none' is not taken", "write some of HS256, HS384, HS512, ES256"),
    ("JWT_ALGORITHMS", "HS256,HS512", "no key that is set can check HS512", "HS512 needs a JWT_SECRET of 64 bytes"),
    ("JWT_ALGORITHMS", "HS256,ES512", "'ES512' is not taken", "write some of"),
    ("JWT_ALGORITHMS", ",", "it names nothing", "leave it empty"),
    ("JWT_ALGORITHMS", "hs256", "'hs256' is not taken", "write some of"),
    ("JWT_ALGORITHMS", "HS256 RS256", "'HS256 RS256' is not taken", "comma-separated"),
    ("JWT_ALGORITHMS", "HS256,RS256", "no key that is set can check RS256", "set a key for it"),
    ("JWT_ISSUER", "hfchat", "own tokens", "write the `iss` of the others"),
    ("JWT_ISSUER", "a" * 256, "no claim's value", "copy it anew"),
    ("JWT_ISSUER", "https://login.example.org/,hfchat", "own tokens", "write the `iss` of the others"),
    ("JWT_ISSUER", " , ", "it names nothing", "leave it empty"),
    ("JWT_AUDIENCE", "a\nb", "no claim's value", "copy it anew"),
    ("JWT_AUDIENCE", f"good,{'a' * 256}", "no claim's value", "copy it anew"),
    ("JWT_AUDIENCE", ",", "it names nothing", "leave it empty"),
    ("JWT_REQUIRED_SCOPE", "chat use", "is not one scope", "without spaces and commas"),
    ("JWT_REQUIRED_SCOPE", "chat,use", "is not one scope", "without spaces and commas"),
    ("JWT_REQUIRED_SCOPE", 'ch"at', "is not one scope", "without spaces and commas"),
    ("JWT_SUBJECT_CLAIM", "user id", "not a claim's name", "for example sub, id or email"),
    ("JWT_SUBJECT_CLAIM", "a" * 101, "not a claim's name", "for example sub, id or email"),
    ("HFCHAT_STORE_COPY", "me/ledger", "not the address of a bucket", "hf://buckets/OWNER/NAME"),
    ("HFCHAT_STORE_COPY", "hf://buckets/me", "not the address of a bucket", "hf://buckets/OWNER/NAME"),
    ("HFCHAT_STORE_COPY", "hf://buckets/me/ledger/today", "not the address of a bucket", "hf://buckets/OWNER/NAME"),
    ("HFCHAT_STORE_COPY", "hf://datasets/me/ledger", "not the address of a bucket", "hf://buckets/OWNER/NAME"),
    ("HFCHAT_STORE_COPY", "hf://buckets/../ledger", "not the address of a bucket", "hf://buckets/OWNER/NAME"),
    ("HFCHAT_STORE_COPY", "hf://buckets/me/ledger", "needs a token of Hugging Face", "HUGGINGFACE_API_TOKEN"),
    ("HFCHAT_STORE", "ledger.db", "not the address of a store", "sqlite:///.hfchat/ledger.db"),
    ("HFCHAT_STORE", "sqlite://ledger.db", "not the address of a store", "sqlite:///.hfchat/ledger.db"),
    ("HFCHAT_STORE", "sqlite:///a.db?mode=ro", "not the address of a store", "sqlite:///.hfchat/ledger.db"),
    ("HFCHAT_STORE", "postgres://host/db", "not the address of a store", "memory://"),
    ("HFCHAT_STORE", "memory", "not the address of a store", "memory://"),
    ("HFCHAT_STORE", "memory://x", "not the address of a store", "memory://"),
    ("HFCHAT_STORE", "redis:host", "not the address of a store", "redis://host:6379/0"),
    ("HFCHAT_STORE", "://", "not the address of a store", "redis://host:6379/0"),
    ("HFCHAT_STORE", "sqlite:///", "its path is a folder's", "sqlite:///.hfchat/ledger.db"),
    ("HFCHAT_STORE", "sqlite:////var/lib/", "its path is a folder's", "sqlite:///.hfchat/ledger.db"),
    ("HFCHAT_STORE", "sqlite:///..", "its path is a folder's", "sqlite:///.hfchat/ledger.db"),
    ("HFCHAT_STORE", "redis://", "not a whole address", "redis://host:6379/0"),
    ("HFCHAT_STORE", "redis:///0", "not a whole address", "redis://host:6379/0"),
    ("HFCHAT_STORE", "redis://host:port/0", "not a whole address", "redis://host:6379/0"),
    ("HFCHAT_STORE", "redis://ho st/0", "not a whole address", "redis://host:6379/0"),
    ("HFCHAT_STORE", "redis://host/ledger", "not a database's number", "redis://host:6379/0"),
    ("HFCHAT_STORE", "unix://", "not a whole address", "unix:///run/redis.sock"),
    ("HFCHAT_RATE", "30", "not a limit", "30/minute"),
    ("HFCHAT_RATE", "0/minute", "not a limit", "a number above 0"),
    ("HFCHAT_RATE", "30/fortnight", "not a limit", "minute, hour, day, week, month"),
    ("HFCHAT_BUDGET", "unlimited", "not a limit", "30/minute"),
    ("HFCHAT_BUDGET", "1123/day", "a reply of HF_CHAT_DEFAULT_TOKENS=1024", "write 1124/day or more"),
    ("HFCHAT_STREAMS", "0", "must be 1 or more", "at once"),
    ("HFCHAT_STREAMS", "10001", "must be 10000 or less", "at once"),
    ("HFCHAT_STREAMS", "all", "not a whole number", "at once"),
    ("HFCHAT_SIGN_IN", "token,google", "must be 'token' or 'huggingface'", "comma-separated"),
    ("HFCHAT_MEMBERS", "alice,my org", "'my org' is no user or organisation", "huggingface.co/NAME"),
    ("HFCHAT_MEMBERS", "ａlice", "is no user or organisation", "huggingface.co/NAME"),
    ("OAUTH_CLIENT_SECRET", "a b", "a space", "copy it again"),
    ("OAUTH_SCOPES", 'openid "x"', "no scope", "openid profile inference-api"),
    ("OPENID_PROVIDER_URL", "http://huggingface.co", "sign in as anybody", "write https://"),
    ("OPENID_PROVIDER_URL", "https://huggingface.co/?a=b", "a `?`", "write it without"),
    ("OPENID_PROVIDER_URL", "huggingface.co", "is not a whole address", "https://huggingface.co"),
    ("HF_CHAT_MEDIA_HOSTS", "*", "is not the full name of a host", "pictures.example.org"),
    ("HF_CHAT_MEDIA_HOSTS", "a.example,169.254.169.254", "is not the full name", "no IP address"),
    ("HF_CHAT_MEDIA_HOSTS", "a.0x7f", "is not the full name", "no IP address"),
    ("HF_CHAT_MEDIA_HOSTS", "[::1]", "is not the full name", "no IP address"),
    ("HF_CHAT_MEDIA_HOSTS", "localhost", "is not the full name", "full name"),
    ("HF_CHAT_MEDIA_HOSTS", "https://a.example", "is not the full name", "without https://"),
    ("HF_CHAT_MEDIA_HOSTS", "a.example:8443", "is not the full name", "port"),
    ("HF_CHAT_MEDIA_HOSTS", "a.example.", "is not the full name", "full name"),
    ("HF_CHAT_MEDIA_HOSTS", "bücher.example", "is not the full name", "xn--"),
    ("HFCHAT_CORS_ORIGINS", "*", "is not a whole address", "http://"),
    ("HFCHAT_CORS_ORIGINS", "https://a.example,null", "is not a whole address", "http://"),
    ("HFCHAT_CORS_ORIGINS", "https://a.example/app", "has a path", "https://app.example.org"),
    ("HFCHAT_CORS_ORIGINS", "https://*.example", "is not a whole address", "http://"),
    ("HFCHAT_CORS_ORIGINS", "chrome-extension://*", "is not a whole address", "chrome-extension://ID"),
    ("HFCHAT_CORS_ORIGINS", "file://", "is not a whole address", "app://"),
    ("HFCHAT_CORS_ORIGINS", "file://host", "is not a whole address", "app://"),
    ("HFCHAT_CORS_ORIGINS", "data://x", "is not a whole address", "app://"),
    ("HFCHAT_CORS_ORIGINS", "app://", "is not a whole address", "app://obsidian.md"),
    ("HFCHAT_CORS_ORIGINS", "app:obsidian.md", "is not a whole address", "app://obsidian.md"),
    ("HFCHAT_CORS_ORIGINS", "app://obsidian.md/x", "is not a whole address", "app://obsidian.md"),
    ("HFCHAT_CORS_ORIGINS", "app://me@obsidian.md", "is not a whole address", "app://obsidian.md"),
    ("HFCHAT_CORS_ORIGINS", "app.example", "is not a whole address", "https://"),
    ("HFCHAT_KEEP_ALIVE_S", "0", "must be 1 or more", "idle connection"),
    ("HFCHAT_KEEP_ALIVE_S", "3601", "must be 3600 or less", "idle connection"),
    ("HFCHAT_KEEP_ALIVE_S", "a minute", "not a whole number", "idle connection"),
    ("HFCHAT_PUBLIC_URL", "app://obsidian.md", "is not a whole address", "https://"),
    ("HFCHAT_PUBLIC_URL", "chat.example.org", "is not a whole address", "https://"),
    ("HFCHAT_LOG_FORMAT", "xml", "'text' or 'json'", "`json` for machines"),
    ("GRADIO_SERVER_NAME", "http://0.0.0.0", "not an address", "127.0.0.1"),
    ("GRADIO_SERVER_PORT", "0", "must be 1 or more", "port"),
    ("GRADIO_SERVER_PORT", "65536", "must be 65535 or less", "port"),
    ("GRADIO_SERVER_PORT", "http", "not a whole number", "port"),
    ("SPACE_HOST", "a b", "not a host's name", "Space"),
    ("SPACE_HOST", "a-b.hf.space, chat.example.org", "' chat.example.org' is not a host's name", "no spaces"),
    ("SPACE_HOST", "a-b.hf.space,", "a host is missing", "SPACE.hf.space"),
    ("SPACE_HOST", ",chat.example.org", "a host is missing", "SPACE.hf.space"),
    ("SPACE_HOST", "a-b.hf.space,,chat.example.org", "a host is missing", "SPACE.hf.space"),
    ("SPACE_HOST", ",", "a host is missing", "SPACE.hf.space"),
    ("SPACE_HOST", "https://a-b.hf.space", "not a host's name", "SPACE.hf.space"),
    ("SPACE_HOST", "a-b.hf.space,chat.example.org/app", "not a host's name", "SPACE.hf.space"),
    ("SPACE_HOST", "a-b.hf.space:443", "not a host's name", "SPACE.hf.space"),
    ("SPACE_HOST", "me@a-b.hf.space", "not a host's name", "SPACE.hf.space"),
    ("SPACE_HOST", "a..hf.space", "not a host's name", "SPACE.hf.space"),
    ("SPACE_HOST", "-a.hf.space", "not a host's name", "SPACE.hf.space"),
    ("SPACE_HOST", "a-b.hf.space,ch\u00e4t.example.org", "not a host's name", "SPACE.hf.space"),
    ("SPACE_HOST", f"{'a.' * 127}hf.space", "not a host's name", "SPACE.hf.space"),
]


WRONG_IDS = [f"{name}={written[:25]!r}" for name, written, _, _ in WRONG]


@each_row(("name", "written", "wrong", "instead"), WRONG, ids=WRONG_IDS)
def test_a_wrong_value_is_refused_by_name(name: str, written: str, wrong: str, instead: str) -> None:
    said = refusal({"JWT_SECRET": KEY, name: written})
    assert said.startswith(f"{name}: ")
    assert "\n" not in said
    assert wrong in said
    assert instead in said


@each_row("name", sorted({row[0] for row in GOOD} - {"SPACE_ID"}))
@each_row("empty", ["", "  ", "\t"], ids=repr)
def test_an_empty_value_is_an_absent_one(name: str, empty: str) -> None:
    assert make_settings(**{name: empty}) == make_settings()


def test_every_fault_is_named_at_once() -> None:
    said = refusal(
        {
            "HF_CHAT_MODLE": "a/b",
            "HF_CHAT_MAX_TOKENS": "many",
            "GRADIO_SERVER_PORT": "0",
            "GRADIO_SERVER_NAME": "0.0.0.0",
            "HFCHAT_CORS_ORIGINS": "*",
        }
    )
    assert sorted(line.partition(":")[0] for line in said.splitlines()) == [
        "GRADIO_SERVER_PORT",
        "HFCHAT_CORS_ORIGINS",
        "HF_CHAT_MAX_TOKENS",
        "HF_CHAT_MODLE",
        "JWT_SECRET",
    ]


def test_an_unknown_name_and_an_open_address_are_both_named() -> None:
    said = refusal({"HFCHAT_COLOUR": "blue", "GRADIO_SERVER_NAME": "0.0.0.0"})
    assert [line.partition(":")[0] for line in said.splitlines()] == ["HFCHAT_COLOUR", "JWT_SECRET"]


@each_row(
    ("name", "value"),
    [
        ("JWT_SECRET", "Zq8-short"),
        ("JWT_SECRET", "Zq8-secret-Zq8-0a9b8c7d6e5f4g3h2i1j"),
        ("HUGGINGFACE_API_TOKEN", "hf_ Zq8-0a9b8c7d6e5f4g3h2i1j"),
        ("HUGGINGFACE_API_TOKEN", "Zq8-0a9b8c7d6e5f4g3h2i1j"),
        ("HF_TOKEN", "hf_Zq8..."),
        ("HF_CHAT_BASE_URL", "https://me:Zq8@host/v1"),
        ("HFCHAT_CORS_ORIGINS", "https://me:Zq8@host"),
        ("HFCHAT_STORE", "postgres://me:Zq8@host/0"),
        ("HFCHAT_STORE", "redis://me:Zq8@host/ledger"),
        ("HFCHAT_STORE", "redis://me:Zq8@/0"),
        ("JWT_JWKS_URL", "https://me:Zq8@host/jwks"),
        ("JWT_JWKS_URL", "http://host/jwks?key=Zq8"),
        ("JWT_PUBLIC_KEY", "-----BEGIN PRIVATE KEY-----\\nZq8\\n-----END PRIVATE KEY-----"),
        ("JWT_PUBLIC_KEY", "-----BEGIN PUBLIC KEY-----\\nZq8\\n-----END PUBLIC KEY-----"),
        ("JWT_PUBLIC_KEY", "Zq8Zq8Zq8"),
    ],
)
def test_a_refusal_does_not_show_the_secret(name: str, value: str) -> None:
    with pytest.raises(SettingsError) as refused:
        load_settings({"JWT_SECRET": KEY, name: value})
    assert "Zq8" not in str(refused.value)
    assert refused.value.__cause__ is None
    assert refused.value.__suppress_context__ or refused.value.__context__ is None


UNKNOWN = [
    ("HF_CHAT_MODLE", "did you mean HF_CHAT_MODEL?"),
    ("HF_CHAT_MAXTOKENS", "did you mean HF_CHAT_MAX_TOKENS?"),
    ("HFCHAT_LOGFORMAT", "did you mean HFCHAT_LOG_FORMAT?"),
    ("HFCHAT_MODEL", "did you mean HF_CHAT_MODEL?"),
    ("hf_chat_model", "did you mean HF_CHAT_MODEL?"),
    ("HFCHAT_STOR", "did you mean HFCHAT_STORE?"),
    ("HFCHAT_SIGNIN", "did you mean HFCHAT_SIGN_IN?"),
    ("HFCHAT_ZZZZZZZZZZZ", "remove it"),
]


@each_row(("name", "advice"), UNKNOWN, ids=[name for name, _ in UNKNOWN])
def test_an_unknown_name_of_ours_is_refused_with_advice(name: str, advice: str) -> None:
    assert refusal({"JWT_SECRET": KEY, name: "1"}) == f"{name}: this version has no such setting; {advice}" + (
        "." if advice == "remove it" else ""
    )


def test_other_programs_variables_are_left_alone() -> None:
    assert make_settings(PATH="/bin", HF_HOME="/x", GRADIO_SHARE="1", JWT_ISSUER_OF_ANOTHER="y") == make_settings()


def test_no_variable_says_that_a_key_was_made() -> None:
    assert not make_settings(KEY_MADE_FOR_THIS_RUN="true").key_made_for_this_run


# --- .env


def test_the_file_is_read(tmp_path: Path) -> None:
    path = dotenv(tmp_path, f"# a comment\nJWT_SECRET={KEY}\nHF_CHAT_MODEL='a/b'\nexport GRADIO_SERVER_PORT=7861\n")
    settings = load_settings({}, path)
    assert (plain(settings.jwt_secret), settings.hf_chat_model, settings.gradio_server_port) == (KEY, "a/b", 7861)


def test_the_environment_wins_over_the_file(tmp_path: Path) -> None:
    path = dotenv(tmp_path, f"JWT_SECRET={KEY}\nHF_CHAT_MODEL=a/b\nGRADIO_SERVER_PORT=7861\n")
    settings = load_settings({"HF_CHAT_MODEL": "c/d", "GRADIO_SERVER_PORT": ""}, path)
    assert settings.hf_chat_model == "c/d"
    assert settings.gradio_server_port == 7860, "an empty variable is absent, and hides the file's"


def test_a_line_of_the_file_that_means_nothing_is_refused_by_its_number(tmp_path: Path) -> None:
    path = dotenv(tmp_path, f"JWT_SECRET={KEY}\nHF_CHAT_SYSTEM_PROMPT='left open\nHF_CHAT_MODEL=a/b\n")
    assert refusal({}, path).startswith(".env: line 2 is not NAME=value")


def test_a_dollar_in_the_file_is_a_dollar(tmp_path: Path) -> None:
    path = dotenv(tmp_path, f"JWT_SECRET={KEY}\nHF_CHAT_SYSTEM_PROMPT=It costs ${{HOME}} $5\n")
    assert load_settings({}, path).hf_chat_system_prompt == "It costs ${HOME} $5"


def test_empty_and_bare_names_in_the_file_are_absent(tmp_path: Path) -> None:
    path = dotenv(tmp_path, f"JWT_SECRET={KEY}\nHF_CHAT_MODEL=\nHF_CHAT_BILL_TO\n")
    assert without_store(load_settings({}, path)) == without_store(make_settings())


@pytest.mark.parametrize("ends", ["\n", "\r\n"], ids=["LF", "CRLF"])
def test_a_file_of_a_windows_editor_is_read(tmp_path: Path, ends: str) -> None:
    path = dotenv(tmp_path, b"\xef\xbb\xbf" + f"JWT_SECRET={KEY}{ends}HF_CHAT_SYSTEM_PROMPT=¡Olé!{ends}".encode())
    settings = load_settings({}, path)
    assert (plain(settings.jwt_secret), settings.hf_chat_system_prompt) == (KEY, "¡Olé!")


@pytest.mark.parametrize("encoding", ["latin-1", "utf-16"])
def test_a_file_in_another_encoding_is_refused_without_its_content(tmp_path: Path, encoding: str) -> None:
    said = refusal({}, dotenv(tmp_path, f"JWT_SECRET={KEY}\nHF_CHAT_SYSTEM_PROMPT=¡Olé!\n".encode(encoding)))
    assert said.startswith(".env: it cannot be read as UTF-8 text")
    assert KEY not in said


@pytest.mark.parametrize("what", ["missing", "folder"])
def test_no_file_is_no_fault(tmp_path: Path, what: str) -> None:
    path = tmp_path / ".env"
    if what == "folder":
        path.mkdir()
    assert without_store(load_settings({"JWT_SECRET": KEY}, path)) == without_store(make_settings())


OTHER = HF_TOKEN.replace("2345", "6789")
TOKENS = [
    ({"HUGGINGFACE_API_TOKEN": HF_TOKEN, "HF_TOKEN": OTHER}, "", HF_TOKEN),
    ({"HF_TOKEN": HF_TOKEN}, "", HF_TOKEN),
    ({"HF_TOKEN": OTHER}, f"HUGGINGFACE_API_TOKEN={HF_TOKEN}", HF_TOKEN),
    ({"HUGGINGFACE_API_TOKEN": HF_TOKEN}, f"HF_TOKEN={OTHER}", HF_TOKEN),
    ({"HUGGINGFACE_API_TOKEN": "", "HF_TOKEN": HF_TOKEN}, "", HF_TOKEN),
    ({}, f"HF_TOKEN={HF_TOKEN}", HF_TOKEN),
    ({"HF_TOKEN": " "}, "HUGGINGFACE_API_TOKEN=", None),
]


@pytest.mark.parametrize(
    ("environ", "file", "token"),
    TOKENS,
    ids=["both", "HF_TOKEN", "file-beats-HF_TOKEN", "not-the-file's", "empty", "file's-HF_TOKEN", "none"],
)
def test_the_token_has_two_names_in_this_order(
    tmp_path: Path, environ: dict[str, str], file: str, token: str | None
) -> None:
    assert plain(load_settings(environ, dotenv(tmp_path, file)).huggingface_api_token) == token


# --- the key


@pytest.mark.parametrize("name", ["127.0.0.1", "127.9.9.9", "localhost", "::1"])
def test_on_a_loopback_name_a_key_is_made_for_this_run(name: str) -> None:
    first, second = load(GRADIO_SERVER_NAME=name), load(GRADIO_SERVER_NAME=name)
    assert first.key_made_for_this_run
    assert len(plain(first.jwt_secret)) >= 32
    assert plain(first.jwt_secret) != plain(second.jwt_secret)


@each_row("name", ["0.0.0.0", "::", "192.168.1.5", "chat.example.org", "localhost.example.org", "127.1"])
def test_on_an_address_that_others_reach_no_key_is_a_refusal(name: str) -> None:
    said = refusal({"GRADIO_SERVER_NAME": name})
    assert said.startswith("JWT_SECRET: it is not set")
    assert name in said
    assert "python -m hfchat secret" in said
    assert not load(GRADIO_SERVER_NAME=name, JWT_SECRET=KEY).key_made_for_this_run


@pytest.mark.parametrize("name", ["localhost", "127.0.0.1", "127.255.255.254", "::1"])
def test_a_loopback_name_is_one(name: str) -> None:
    assert is_loopback(name)


@each_row("name", ["", "0.0.0.0", "::", "10.0.0.1", "1270.0.0.1", "localhost.", "127.0.0.1.nip.io"])
def test_another_name_is_no_loopback(name: str) -> None:
    assert not is_loopback(name)


def test_a_space_without_a_key_starts_closed() -> None:
    settings = load(SPACE_ID="someone/chat", SPACE_HOST="someone-chat.hf.space")
    assert settings.jwt_secret is None
    assert not settings.key_made_for_this_run
    assert settings.gradio_server_name == "0.0.0.0"
    assert settings.public_url == "https://someone-chat.hf.space"


def test_a_space_keeps_the_name_that_it_is_given() -> None:
    assert load(SPACE_ID="someone/chat", GRADIO_SERVER_NAME="127.0.0.1").gradio_server_name == "127.0.0.1"


PUBLIC_KEYS = ("rsa", "p256", "p384", "ed25519", "ed448")


@pytest.mark.parametrize("kind", PUBLIC_KEYS)
def test_a_public_key_is_taken_as_text_in_one_line_or_from_a_file(tmp_path: Path, kind: str) -> None:
    pem = public_pem(kind)
    one_line, windows = pem.replace("\n", "\\n"), pem.replace("\n", "\\r\\n")
    (tmp_path / "key.pem").write_text(pem)
    for written in (pem, one_line, windows, str(tmp_path / "key.pem")):
        assert load(JWT_PUBLIC_KEY=written).jwt_public_key is not None
        assert Verifier(policy=load().policy, public_key=load(JWT_PUBLIC_KEY=written).jwt_public_key)
    file = dotenv(tmp_path, f'JWT_PUBLIC_KEY="{one_line}"\nHF_CHAT_MODEL=a/b\n')
    assert load_settings({}, file).jwt_public_key == pem.strip()
    file = dotenv(tmp_path, "JWT_PUBLIC_KEY=key.pem\n")
    assert load_settings({}, file).jwt_public_key == pem, "a relative path begins at the file's folder"


def pem_of(key: Any) -> str:
    return str(key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode())


def private_pem(kind: str, form: PrivateFormat = PrivateFormat.PKCS8, password: bytes = b"") -> str:
    locked = BestAvailableEncryption(password) if password else NoEncryption()
    return str(private_key(kind).private_bytes(Encoding.PEM, form, locked).decode())


SOME_PEM = public_pem("p256")
BAD_PUBLIC_KEYS: dict[str, tuple[Callable[[], str], str, str]] = {
    "private": (lambda: private_pem("p256"), "private half", "openssl pkey -in private.pem -pubout"),
    "private, older": (lambda: private_pem("rsa", PrivateFormat.TraditionalOpenSSL), "private half", "-pubout"),
    "private, with a password": (lambda: private_pem("p256", password=b"pw"), "private half", "-pubout"),
    "private, OpenSSH": (lambda: private_pem("ed25519", PrivateFormat.OpenSSH), "private half", "-pubout"),
    "both halves": (lambda: SOME_PEM + private_pem("p256"), "private half", "-pubout"),
    "a certificate": (
        lambda: "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----",
        "a certificate",
        "openssl x509 -in certificate.pem -pubkey -noout",
    ),
    "two keys": (lambda: SOME_PEM * 2, "more than one key", "JWT_JWKS_URL"),
    "cut": (lambda: SOME_PEM[:60], "not a whole public key", "-----END PUBLIC KEY-----"),
    "no base64": (lambda: SOME_PEM.replace("M", "!"), "not a whole public key", "-----END PUBLIC KEY-----"),
    "RSA of 1024 bits": (lambda: public_pem("rsa1024"), "1024 bits", "2048"),
    "P-521": (lambda: public_pem("p521"), "another kind of key", "P-256"),
    "secp256k1": (lambda: public_pem("secp256k1"), "another kind of key", "P-256"),
    "X25519": (lambda: pem_of(X25519PrivateKey.generate()), "another kind of key", "Ed25519"),
    "OpenSSH's form": (lambda: "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5", "neither the text", "a file"),
    "a JSON Web Key": (lambda: '{"kty":"RSA"}', "neither the text", "a file"),
    "no such file": (lambda: "/no/such/key.pem", "FileNotFoundError", "a file"),
    "a folder": (lambda: "/", "IsADirectoryError", "a file"),
    "a long name": (lambda: "k" * 5000, "OSError", "a file"),
    "a name with NUL": (lambda: "k\0", "ValueError", "a file"),
    "no text in the file": (lambda: sys.executable, "UnicodeDecodeError", "a file"),
    "something else in the file": (lambda: base64.__file__, "not a whole public key", "PEM"),
    "an endless file": (lambda: "/dev/zero", "not a whole public key", "PEM"),
}


@each_row(("written", "wrong", "instead"), BAD_PUBLIC_KEYS.values(), ids=BAD_PUBLIC_KEYS)
def test_what_is_no_public_key_is_refused_with_what_to_write(
    written: Callable[[], str], wrong: str, instead: str
) -> None:
    said = refusal({"JWT_PUBLIC_KEY": written()})
    assert said.startswith("JWT_PUBLIC_KEY: ")
    assert "\n" not in said
    assert wrong in said
    assert instead in said


JWKS = "https://login.example.org/jwks.json"
EC_KEY = {"JWT_PUBLIC_KEY": SOME_PEM}
BUCKET = "hf://buckets/my-org/my_ledger.1"
# what is set, and what begins each line of the refusal
BETWEEN: dict[str, tuple[dict[str, str], list[str]]] = {
    "two sets of keys": ({**EC_KEY, "JWT_JWKS_URL": JWKS}, ["JWT_PUBLIC_KEY: JWT_JWKS_URL is set too"]),
    "a list without HS256": (
        {"JWT_SECRET": KEY, **EC_KEY, "JWT_ALGORITHMS": "ES256"},
        ["JWT_ALGORITHMS: own tokens are HS256"],
    ),
    "a list without the public key's": (
        {"JWT_SECRET": KEY, **EC_KEY, "JWT_ALGORITHMS": "HS256"},
        ["JWT_ALGORITHMS: with none of them JWT_PUBLIC_KEY would be of use; add one of ES256"],
    ),
    "a list without the provider's": (
        {"JWT_SECRET": KEY, "JWT_JWKS_URL": JWKS, "JWT_ALGORITHMS": "HS256"},
        ["JWT_ALGORITHMS: with none of them JWT_JWKS_URL would be of use"],
    ),
    "another kind's algorithm": (
        {**EC_KEY, "JWT_ALGORITHMS": "ES256,RS256,ES384"},
        ["JWT_ALGORITHMS: no key that is set can check RS256, ES384; write only some of ES256"],
    ),
    "HS256 without a secret": (
        {"JWT_JWKS_URL": JWKS, "JWT_ALGORITHMS": "RS256,HS256"},
        ["JWT_ALGORITHMS: no key that is set can check HS256"],
    ),
    "another's algorithms alone": (
        {"JWT_SECRET": KEY, "JWT_ALGORITHMS": "RS256"},
        ["JWT_ALGORITHMS: no key that is set can check RS256", "JWT_ALGORITHMS: own tokens are HS256"],
    ),
    **{
        f"{name} without a key": ({name: value}, [f"{name}: there is no key to check others' tokens with"])
        for name, value in {
            "JWT_ALGORITHMS": "HS256",
            "JWT_ISSUER": "https://login.example.org",
            "JWT_AUDIENCE": "chat",
            "JWT_REQUIRED_SCOPE": "chat",
            "JWT_SUBJECT_CLAIM": "id",
        }.items()
    },
    "rules on a closed Space": (
        {"SPACE_ID": "a/b", "JWT_ISSUER": "x", "JWT_AUDIENCE": "y"},
        ["JWT_ISSUER: there is no key", "JWT_AUDIENCE: there is no key"],
    ),
    **{
        f"a copy of {store}": (
            {"JWT_SECRET": KEY, "HF_TOKEN": HF_TOKEN, "HFCHAT_STORE_COPY": BUCKET, "HFCHAT_STORE": store},
            [f"HFCHAT_STORE_COPY: it is the copy of a file, and HFCHAT_STORE={store.partition('/')[0]}//... is none"],
        )
        for store in ("memory://", "redis://host", "valkeys://host", "unix:///run/redis.sock")
    },
    "a copy and another server's key": (
        {
            "JWT_SECRET": KEY,
            "HUGGINGFACE_API_TOKEN": "sk-0a9b8c7d6e5f",
            "HF_CHAT_BASE_URL": "http://localhost:1/v1",
            "HFCHAT_STORE_COPY": BUCKET,
        },
        ["HFCHAT_STORE_COPY: a bucket needs a token of Hugging Face"],
    ),
    "a long reply": (
        {"JWT_SECRET": KEY, "HF_CHAT_MAX_TOKENS": "1000000", "HF_CHAT_DEFAULT_TOKENS": "500000"},
        ["HFCHAT_BUDGET: 200000/day is less than a question and a reply of HF_CHAT_DEFAULT_TOKENS=500000"],
    ),
    "a default over the ceiling": (
        {"JWT_SECRET": KEY, "HF_CHAT_MAX_TOKENS": "500", "HF_CHAT_DEFAULT_TOKENS": "501"},
        ["HF_CHAT_DEFAULT_TOKENS: 501 is more than HF_CHAT_MAX_TOKENS=500 allows"],
    ),
}


@each_row(("variables", "said"), BETWEEN.values(), ids=BETWEEN)
def test_settings_that_cannot_hold_together_are_refused(variables: dict[str, str], said: list[str]) -> None:
    lines = refusal(variables).splitlines()
    assert len(lines) == len(said)
    assert all(line.startswith(beginning) for line, beginning in zip(lines, said, strict=True))


TOGETHER: dict[str, dict[str, str]] = {
    "all of the secret's": {"JWT_SECRET": KEY, "JWT_ALGORITHMS": "HS256", "JWT_ISSUER": "x", "JWT_SUBJECT_CLAIM": "id"},
    "a secret and a public key": {"JWT_SECRET": KEY, **EC_KEY, "JWT_ALGORITHMS": "HS256,ES256"},
    "a provider": {"JWT_JWKS_URL": JWKS, "JWT_ALGORITHMS": "RS256, PS512, EdDSA", "JWT_AUDIENCE": "chat"},
    "a secret and a provider": {"JWT_SECRET": KEY, "JWT_JWKS_URL": JWKS},
    "a copy": {"JWT_SECRET": KEY, "HF_TOKEN": HF_TOKEN, "HFCHAT_STORE_COPY": BUCKET},
    "a default at the ceiling": {"JWT_SECRET": KEY, "HF_CHAT_MAX_TOKENS": "500", "HF_CHAT_DEFAULT_TOKENS": "500"},
    "a ceiling below the default that nobody set": {"JWT_SECRET": KEY, "HF_CHAT_MAX_TOKENS": "500"},
    "as large a reply as the budget": {"JWT_SECRET": KEY, "HF_CHAT_MAX_TOKENS": "10", "HFCHAT_BUDGET": "110/week"},
    "the usual subject, without a key": {"JWT_SUBJECT_CLAIM": "sub"},
}


@each_row("variables", TOGETHER.values(), ids=TOGETHER)
def test_settings_that_hold_together_are_taken(variables: dict[str, str]) -> None:
    assert load_settings(variables).has_key


@pytest.mark.parametrize("variables", [EC_KEY, {"JWT_JWKS_URL": JWKS}], ids=["public key", "provider"])
def test_with_a_key_of_others_none_is_made_and_others_may_come_in(variables: dict[str, str]) -> None:
    for more in ({}, {"GRADIO_SERVER_NAME": "0.0.0.0"}, {"SPACE_ID": "a/b"}):
        settings = load_settings({**variables, **more})
        assert settings.has_key
        assert settings.jwt_secret is None
        assert not settings.key_made_for_this_run


def test_without_a_key_there_is_none() -> None:
    assert not load(SPACE_ID="a/b").has_key
    assert load().has_key, "one is made for this run"


BAD_SECRETS = {
    "empty quotes": ('""', "needs 32"),
    "one byte short": (KEY[:31], "31 bytes"),
    "jwt.io, old": ("your-256-bit-secret", "19 bytes"),
    "jwt.io, old, longer": ("your-256-bit-secret-your-256-bit-secret", "sample"),
    "jwt.io": ("a-string-secret-at-least-256-bits-long", "sample"),
    "changeme": ("changeme-changeme-changeme-changeme", "sample"),
    "change_me": ("please_CHANGE_ME_before_you_go_live_01", "sample"),
    "one letter": ("a" * 64, "sample"),
    "few letters": ("abcabcabcabcabcabcabcabcabcabcabcabc", "sample"),
    "deadbeef": ("deadbeef" * 8, "sample"),
    "digits": ("1234567890" * 4, "sample"),
    "hex row": ("0123456789abcdef" * 4, "sample"),
    "alphabet": ("abcdefghijklmnopqrstuvwxyz-ABCDEFGH", "sample"),
    "placeholder": ("<32 or more bytes, from your head>", "sample"),
    "example": ("this-is-only-an-EXAMPLE-of-a-long-key", "sample"),
    "password": ("correct-Password-battery-staple-horse", "sample"),
    "replace": ("replace-this-with-openssl-rand-hex-32", "sample"),
    "dots": ("KJHGFD9876qwert...KJHGFD9876qwert...", "sample"),
    "base64 of 31 bytes": (f"base64:{base64.b64encode(KEY[:31].encode()).decode()}", "31 bytes"),
    "base64 that is none": (f"base64:{KEY[:40]}!", "no base64"),
    "base64 of one byte more than a group": (f"base64:{'Zm9v' * 20}Z", "no base64"),
    "base64 of noughts": (f"base64:{base64.b64encode(bytes(64)).decode()}", "sample"),
    "crosses": ("hgfd-XXXXXXXX-XXXXXXXX-XXXXXXXX-trew", "sample"),
}


@each_row(("secret", "wrong"), BAD_SECRETS.values(), ids=BAD_SECRETS)
def test_a_short_or_sample_key_is_refused(secret: str, wrong: str) -> None:
    said = refusal({"JWT_SECRET": secret})
    assert said.startswith("JWT_SECRET: ")
    assert wrong in said
    assert "python -m hfchat secret" in said
    assert secret not in said


def test_a_key_of_32_bytes_is_enough_and_bytes_are_counted() -> None:
    assert plain(load(JWT_SECRET=KEY[:32]).jwt_secret) == KEY[:32]
    assert load(JWT_SECRET="ñandúáéíóúüçàè€äöß").jwt_secret is not None


@pytest.mark.parametrize("write", [base64.b64encode, base64.urlsafe_b64encode], ids=["standard", "for URLs"])
@pytest.mark.parametrize("padding", ["=", ""], ids=["padded", "without padding"])
def test_a_secret_in_base64_is_the_bytes_that_it_encodes(write: Callable[[bytes], bytes], padding: str) -> None:
    key = bytes(range(190, 255)) + b"?>"
    settings = load(JWT_SECRET=f"base64:{write(key).decode().rstrip('=')}{padding}")
    assert settings.signing_key == key
    assert load(JWT_SECRET=KEY).signing_key == KEY.encode()


@pytest.mark.parametrize(("length", "algorithms"), [(47, "HS256"), (48, "HS256,HS384"), (64, "HS512,HS384,HS256")])
def test_a_long_secret_checks_the_longer_hashes_too(length: int, algorithms: str) -> None:
    secret = (KEY * 2)[:length]
    assert load(JWT_SECRET=secret, JWT_ALGORITHMS=algorithms).jwt_algorithms == tuple(algorithms.split(","))
    if length < 64:
        assert "HS512 needs a JWT_SECRET of 64 bytes" in refusal(
            {"JWT_SECRET": secret, "JWT_ALGORITHMS": "HS256,HS512"}
        )


def test_fresh_keys_are_all_taken() -> None:
    for _ in range(500):
        raw = secrets.token_bytes(32)
        for fresh in (secrets.token_urlsafe(32), secrets.token_hex(32), base64.b64encode(raw).decode()):
            assert plain(load(JWT_SECRET=fresh).jwt_secret) == fresh


# --- what is made of them


def test_settings_are_frozen() -> None:
    with pytest.raises(ValidationError):
        make_settings().hf_chat_model = "a/b"


def test_no_repr_shows_a_secret_or_the_owners_words() -> None:
    settings = make_settings(
        HUGGINGFACE_API_TOKEN=HF_TOKEN, HF_CHAT_SYSTEM_PROMPT="Zq8 words", HFCHAT_STORE="redis://me:Zq8@host/0"
    )
    for shown in (repr(settings), str(settings), repr(settings.jwt_secret), settings.model_dump_json()):
        assert KEY not in shown
        assert HF_TOKEN not in shown
    assert "Zq8" not in repr(settings) + str(settings)


def test_the_default_model_is_always_allowed() -> None:
    assert make_settings().allowed_models == frozenset({"meta-llama/Llama-3.2-3B-Instruct:fastest"})
    assert make_settings(HF_CHAT_MODEL="a/b", HF_CHAT_MODELS="c/d,e/f").allowed_models == frozenset(
        {"a/b", "c/d", "e/f"}
    )
    assert make_settings(HF_CHAT_MODELS="a/b,*").allowed_models is None


def test_the_policy_is_the_owners_settings() -> None:
    settings = make_settings(
        HF_CHAT_MODEL="a/b",
        HF_CHAT_MODELS="c/d",
        HF_CHAT_FALLBACK_MODELS="e/f",
        HF_CHAT_MAX_TOKENS="9",
        HFCHAT_RATE="1/hour",
        HFCHAT_BUDGET="110/week",
        HFCHAT_STREAMS="2",
    )
    assert settings.policy == Policy(
        default_model="a/b",
        models=frozenset({"a/b", "c/d"}),
        fallback_models=("e/f",),
        max_tokens=9,
        default_tokens=9,
        rate=(Limit(1, "hour"),),
        budget=(Limit(110, "week"),),
        streams=2,
    )
    assert make_settings(HF_CHAT_MODELS="*").policy.models is None


STORES = [
    ("sqlite:///ledger.db", "sqlite:///{folder}/ledger.db"),
    ("sqlite:///data/ledger.db", "sqlite:///{folder}/data/ledger.db"),
    ("sqlite:///./ledger.db", "sqlite:///{folder}/ledger.db"),
    ("", "sqlite:///{folder}/.hfchat/ledger.db"),
    ("sqlite:////var/lib/ledger.db", "sqlite:////var/lib/ledger.db"),
    ("redis://host/0", "redis://host/0"),
    ("memory://", "memory://"),
]


@pytest.mark.parametrize(("written", "address"), STORES, ids=[written or "default" for written, _ in STORES])
@pytest.mark.parametrize("there", [True, False], ids=["with a file", "without"])
def test_a_ledger_lies_where_the_env_file_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, written: str, address: str, there: bool
) -> None:
    path = dotenv(tmp_path, "HF_CHAT_MODEL=a/b\n") if there else tmp_path / ".env"
    expected = address.format(folder=tmp_path.resolve())
    environ = {"JWT_SECRET": KEY, "HFCHAT_STORE": written}
    assert load_settings(environ, path).hfchat_store == expected
    monkeypatch.chdir(tmp_path)
    assert load_settings(environ, Path(".env")).hfchat_store == expected
    assert load_settings(environ).hfchat_store == expected


def test_without_its_package_redis_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "redis", None)
    for scheme in ("redis", "rediss", "valkey", "valkeys"):
        said = refusal({"JWT_SECRET": KEY, "HFCHAT_STORE": f"{scheme}://host"})
        assert "it needs the package redis: pip install 'redis>=8,<9'" in said
    assert make_settings(HFCHAT_STORE="memory://")


def test_the_example_file_starts_without_a_key_too() -> None:
    settings = load_settings({}, Path(__file__).parents[2] / ".env.example")
    assert settings.key_made_for_this_run
    assert settings.jwt_subject_claim == "sub"


def test_the_readmes_lines_for_a_provider_are_taken(tmp_path: Path) -> None:
    readme = (Path(__file__).parents[2] / "README.md").read_text("utf-8")
    lines = re.findall(r"`(JWT_(?:JWKS_URL|ISSUER|AUDIENCE)=\S+)`", readme)
    settings = load_settings({}, dotenv(tmp_path, "\n".join(lines)))
    assert settings.jwt_jwks_url
    assert (settings.jwt_issuer, settings.jwt_audience) == (("https://login.example.org/",), ("my-chat",))


OFFLINE: dict[str, tuple[dict[str, str], bool]] = {
    "nothing": ({}, True),
    "token": ({"HUGGINGFACE_API_TOKEN": HF_TOKEN}, False),
    "HF_TOKEN": ({"HF_TOKEN": HF_TOKEN}, False),
    "server": ({"HF_CHAT_BASE_URL": "http://127.0.0.1:11434/v1"}, False),
    "router": ({"HF_CHAT_BASE_URL": "https://router.huggingface.co/v1/chat/completions/"}, True),
    "server's key": ({"HF_CHAT_BASE_URL": "http://127.0.0.1:8080/v1", "HF_TOKEN": "any-key-of-it"}, False),
}


@each_row(("variables", "offline"), OFFLINE.values(), ids=OFFLINE)
def test_without_a_token_for_the_router_the_stand_in_answers(variables: dict[str, str], offline: bool) -> None:
    assert make_settings(**variables).offline is offline


URLS = [
    ({}, None, "http://127.0.0.1:7860"),
    ({"GRADIO_SERVER_NAME": "0.0.0.0", "GRADIO_SERVER_PORT": "80"}, None, "http://127.0.0.1:80"),
    ({"GRADIO_SERVER_NAME": "::"}, None, "http://[::1]:7860"),
    ({"GRADIO_SERVER_NAME": "::1"}, None, "http://[::1]:7860"),
    ({"GRADIO_SERVER_NAME": "box.local"}, None, "http://box.local:7860"),
    ({"HFCHAT_PUBLIC_URL": "https://a.example/"}, "https://a.example", "http://127.0.0.1:7860"),
    ({"SPACE_HOST": "a-b.hf.space"}, "https://a-b.hf.space", "http://127.0.0.1:7860"),
    ({"SPACE_HOST": "a-b.hf.space,c.example"}, "https://c.example", "http://127.0.0.1:7860"),
    ({"SPACE_HOST": "a-b.hf.space,c.example,d.example"}, "https://d.example", "http://127.0.0.1:7860"),
    (
        {"SPACE_HOST": "a-b.hf.space,c.example", "HFCHAT_PUBLIC_URL": "https://c.d"},
        "https://c.d",
        "http://127.0.0.1:7860",
    ),
    ({"SPACE_HOST": "a-b.hf.space", "HFCHAT_PUBLIC_URL": "https://c.d"}, "https://c.d", "http://127.0.0.1:7860"),
]


@each_row(("variables", "public", "local"), URLS, ids=[" ".join(row[0].values()) or "nothing" for row in URLS])
def test_the_addresses_are_written_as_a_browser_takes_them(
    variables: dict[str, str], public: str | None, local: str
) -> None:
    settings = make_settings(**variables)
    assert (settings.public_url, settings.local_url) == (public, local)


WITH_HUB = {"JWT_SECRET": KEY, "HFCHAT_SIGN_IN": "huggingface", "HFCHAT_PUBLIC_URL": "https://chat.example.org"}
SPACE = {"SPACE_ID": "me/chat", "SPACE_HOST": "me-chat.hf.space,chat.example.org", "OAUTH_CLIENT_ID": "c0ffee"}
OTHER_SERVER = {"HF_CHAT_BASE_URL": "http://localhost:11434/v1"}


@each_row(
    ("variables", "ways", "origin"),
    [
        ({"JWT_SECRET": KEY}, {"token"}, None),
        (WITH_HUB, {"huggingface"}, "https://chat.example.org"),
        ({**WITH_HUB, "HFCHAT_SIGN_IN": " Token, HuggingFace "}, {"token", "huggingface"}, "https://chat.example.org"),
        ({"JWT_SECRET": KEY, **SPACE}, {"token", "huggingface"}, "https://me-chat.hf.space"),
        ({"JWT_SECRET": KEY, **SPACE, "HFCHAT_SIGN_IN": "token"}, {"token"}, "https://me-chat.hf.space"),
        ({"JWT_SECRET": KEY, **SPACE, "OAUTH_CLIENT_ID": ""}, {"token"}, "https://me-chat.hf.space"),
    ],
    ids=["default", "hub", "both", "a Space", "a Space with tokens", "a Space without hf_oauth"],
)
def test_how_people_sign_in(variables: dict[str, str], ways: set[str], origin: str | None) -> None:
    settings = load(**variables)
    assert (settings.sign_in, settings.hub_origin) == (ways, origin)
    assert settings.hub_sign_in is ("huggingface" in ways)


def test_a_space_without_a_key_stays_closed_and_starts() -> None:
    settings = load(**SPACE)
    assert (settings.has_key, settings.hub_sign_in) == (False, False)


UNSAFE: dict[str, tuple[dict[str, str], str]] = {
    "no key": ({"JWT_SECRET": ""}, "HFCHAT_SIGN_IN: the sessions"),
    "another's key only": (
        {"JWT_SECRET": "", "JWT_JWKS_URL": "https://a.example/jwks"},
        "HFCHAT_SIGN_IN: the sessions",
    ),
    "no public address": ({"HFCHAT_PUBLIC_URL": ""}, "HFCHAT_PUBLIC_URL: Hugging Face sends people back"),
    "a public address without TLS": ({"HFCHAT_PUBLIC_URL": "http://chat.example.org"}, "HFCHAT_PUBLIC_URL: Hugging"),
    "another server and no members": (OTHER_SERVER, "HFCHAT_MEMBERS: with HF_CHAT_BASE_URL nobody pays"),
    "no scope and no members": ({"OAUTH_SCOPES": "openid"}, "OAUTH_SCOPES: without inference-api"),
    "members and no token of the owner's": ({"OAUTH_SCOPES": "openid", "HFCHAT_MEMBERS": "a"}, "OAUTH_SCOPES: without"),
    "a secret of no client": ({"OAUTH_CLIENT_SECRET": "s3cr3t"}, "OAUTH_CLIENT_SECRET: it belongs to"),
    "members who cannot sign in": (
        {"HFCHAT_SIGN_IN": "token", "HFCHAT_MEMBERS": "a"},
        "HFCHAT_MEMBERS: nobody signs in",
    ),
}


@each_row(("change", "said"), UNSAFE.values(), ids=UNSAFE)
def test_an_unsafe_or_useless_sign_in_does_not_start(change: dict[str, str], said: str) -> None:
    problem = refusal({**WITH_HUB, **change})
    assert problem.startswith(said)
    assert "\n" not in problem


PAYERS: dict[str, tuple[dict[str, str], bool, bool]] = {
    "without a token of the owner's": ({}, False, True),
    "with one": ({"HUGGINGFACE_API_TOKEN": HF_TOKEN}, True, True),
    "another server": ({**OTHER_SERVER, "HFCHAT_MEMBERS": "a"}, True, False),
    "without the scope": (
        {"HUGGINGFACE_API_TOKEN": HF_TOKEN, "OAUTH_SCOPES": "openid", "HFCHAT_MEMBERS": "a"},
        True,
        False,
    ),
    "no sign-in": ({"HFCHAT_SIGN_IN": "token"}, False, False),
}


@pytest.mark.parametrize(("change", "owner", "own"), PAYERS.values(), ids=PAYERS)
def test_who_may_pay(change: dict[str, str], owner: bool, own: bool) -> None:
    credit = make_credit(load(**{**WITH_HUB, **change}))
    assert (credit.owner, credit.own) == (owner, own)
