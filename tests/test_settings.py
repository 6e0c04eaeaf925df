"""The environment and `.env` as settings: what is taken, what is refused, and how it is said."""

import base64
import secrets
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from hfchat.settings import ROUTER_URL, Settings, SettingsError, is_loopback, load_settings
from tests.conftest import KEY, make_settings

HF_TOKEN = "hf_" + "QzWxEcRvTbYnUmIkOlPq" + "2345"


def load(**variables: str) -> Settings:
    return load_settings(variables)


def refusal(environ: dict[str, str], dotenv: Path | None = None) -> str:
    with pytest.raises(SettingsError) as refused:
        load_settings(environ, dotenv)
    return str(refused.value)


def dotenv(folder: Path, content: str | bytes) -> Path:
    path = folder / ".env"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


DEFAULTS: dict[str, Any] = {
    "huggingface_api_token": None,
    "hf_chat_model": "meta-llama/Llama-3.2-3B-Instruct:fastest",
    "hf_chat_models": (),
    "hf_chat_fallback_models": (),
    "hf_chat_base_url": "https://router.huggingface.co/v1",
    "hf_chat_bill_to": None,
    "hf_chat_system_prompt": None,
    "hf_chat_max_tokens": 1024,
    "hf_chat_timeout_s": 60,
    "jwt_secret": KEY,
    "hfchat_cors_origins": (),
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


@pytest.mark.parametrize(("field", "value"), DEFAULTS.items(), ids=DEFAULTS)
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
    ("HF_CHAT_TIMEOUT_S", "0.5", 0.5),
    ("HF_CHAT_TIMEOUT_S", "3600", 3600),
    ("HFCHAT_CORS_ORIGINS", "https://App.Example.org/, http://localhost:5173", ("https://app.example.org", "http://localhost:5173")),
    ("HFCHAT_PUBLIC_URL", "https://chat.example.org/", "https://chat.example.org"),
    ("HFCHAT_LOG_FORMAT", "json", "json"),
    ("GRADIO_SERVER_NAME", "::1", "::1"),
    ("GRADIO_SERVER_NAME", "my-host.local", "my-host.local"),
    ("GRADIO_SERVER_PORT", "1", 1),
    ("GRADIO_SERVER_PORT", "65535", 65535),
    ("SPACE_ID", "someone/chat", "someone/chat"),
    ("SPACE_HOST", "someone-chat.hf.space", "someone-chat.hf.space"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "written", "value"), GOOD, ids=[f"{name}={written[:30]}" for name, written, _ in GOOD]
)
def test_a_good_value_is_taken(name: str, written: str, value: Any) -> None:
    assert plain(getattr(make_settings(**{name: written}), name.lower())) == value


# variable, what is written, what is said of it, what is said to write instead
WRONG = [
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
    ("HF_CHAT_TIMEOUT_S", "0", "more than 0", "in seconds"),
    ("HF_CHAT_TIMEOUT_S", "-1", "more than 0", "in seconds"),
    ("HF_CHAT_TIMEOUT_S", "nan", "must be 3600.0 or less", "in seconds"),
    ("HF_CHAT_TIMEOUT_S", "inf", "must be 3600.0 or less", "in seconds"),
    ("HF_CHAT_TIMEOUT_S", "60s", "not a number", "in seconds"),
    ("HFCHAT_CORS_ORIGINS", "*", "is not a whole address", "http://"),
    ("HFCHAT_CORS_ORIGINS", "https://a.example,null", "is not a whole address", "http://"),
    ("HFCHAT_CORS_ORIGINS", "https://a.example/app", "has a path", "https://app.example.org"),
    ("HFCHAT_PUBLIC_URL", "chat.example.org", "is not a whole address", "https://"),
    ("HFCHAT_LOG_FORMAT", "xml", "'text' or 'json'", "`json` for machines"),
    ("GRADIO_SERVER_NAME", "http://0.0.0.0", "not an address", "127.0.0.1"),
    ("GRADIO_SERVER_PORT", "0", "must be 1 or more", "port"),
    ("GRADIO_SERVER_PORT", "65536", "must be 65535 or less", "port"),
    ("GRADIO_SERVER_PORT", "http", "not a whole number", "port"),
    ("SPACE_HOST", "a b", "should match", "Space"),
]


WRONG_IDS = [f"{name}={written[:25]!r}" for name, written, _, _ in WRONG]


@pytest.mark.parametrize(("name", "written", "wrong", "instead"), WRONG, ids=WRONG_IDS)
def test_a_wrong_value_is_refused_by_name(name: str, written: str, wrong: str, instead: str) -> None:
    said = refusal({"JWT_SECRET": KEY, name: written})
    assert said.startswith(f"{name}: ")
    assert "\n" not in said
    assert wrong in said
    assert instead in said


@pytest.mark.parametrize("name", [row[0] for row in GOOD if row[0] != "SPACE_ID"])
@pytest.mark.parametrize("empty", ["", "  ", "\t"], ids=repr)
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


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("JWT_SECRET", "Zq8-short"),
        ("JWT_SECRET", "Zq8-secret-Zq8-0a9b8c7d6e5f4g3h2i1j"),
        ("HUGGINGFACE_API_TOKEN", "hf_ Zq8-0a9b8c7d6e5f4g3h2i1j"),
        ("HUGGINGFACE_API_TOKEN", "Zq8-0a9b8c7d6e5f4g3h2i1j"),
        ("HF_TOKEN", "hf_Zq8..."),
        ("HF_CHAT_BASE_URL", "https://me:Zq8@host/v1"),
        ("HFCHAT_CORS_ORIGINS", "https://me:Zq8@host"),
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
    ("HFCHAT_RATE", "remove it"),
    ("HFCHAT_ZZZZZZZZZZZ", "remove it"),
]


@pytest.mark.parametrize(("name", "advice"), UNKNOWN, ids=[name for name, _ in UNKNOWN])
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
    assert load_settings({}, path) == make_settings()


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
    assert load_settings({"JWT_SECRET": KEY}, path) == make_settings()


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


@pytest.mark.parametrize("name", ["0.0.0.0", "::", "192.168.1.5", "chat.example.org", "localhost.example.org", "127.1"])
def test_on_an_address_that_others_reach_no_key_is_a_refusal(name: str) -> None:
    said = refusal({"GRADIO_SERVER_NAME": name})
    assert said.startswith("JWT_SECRET: it is not set")
    assert name in said
    assert "python -m hfchat secret" in said
    assert not load(GRADIO_SERVER_NAME=name, JWT_SECRET=KEY).key_made_for_this_run


@pytest.mark.parametrize("name", ["localhost", "127.0.0.1", "127.255.255.254", "::1"])
def test_a_loopback_name_is_one(name: str) -> None:
    assert is_loopback(name)


@pytest.mark.parametrize("name", ["", "0.0.0.0", "::", "10.0.0.1", "1270.0.0.1", "localhost.", "127.0.0.1.nip.io"])
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
    "crosses": ("hgfd-XXXXXXXX-XXXXXXXX-XXXXXXXX-trew", "sample"),
}


@pytest.mark.parametrize(("secret", "wrong"), BAD_SECRETS.values(), ids=BAD_SECRETS)
def test_a_short_or_sample_key_is_refused(secret: str, wrong: str) -> None:
    said = refusal({"JWT_SECRET": secret})
    assert said.startswith("JWT_SECRET: ")
    assert wrong in said
    assert "python -m hfchat secret" in said
    assert secret not in said


def test_a_key_of_32_bytes_is_enough_and_bytes_are_counted() -> None:
    assert plain(load(JWT_SECRET=KEY[:32]).jwt_secret) == KEY[:32]
    assert load(JWT_SECRET="ñandúáéíóúüçàè€äöß").jwt_secret is not None


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
    settings = make_settings(HUGGINGFACE_API_TOKEN=HF_TOKEN, HF_CHAT_SYSTEM_PROMPT="Zq8 words")
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


OFFLINE: dict[str, tuple[dict[str, str], bool]] = {
    "nothing": ({}, True),
    "token": ({"HUGGINGFACE_API_TOKEN": HF_TOKEN}, False),
    "HF_TOKEN": ({"HF_TOKEN": HF_TOKEN}, False),
    "server": ({"HF_CHAT_BASE_URL": "http://127.0.0.1:11434/v1"}, False),
    "router": ({"HF_CHAT_BASE_URL": "https://router.huggingface.co/v1/chat/completions/"}, True),
    "server's key": ({"HF_CHAT_BASE_URL": "http://127.0.0.1:8080/v1", "HF_TOKEN": "any-key-of-it"}, False),
}


@pytest.mark.parametrize(("variables", "offline"), OFFLINE.values(), ids=OFFLINE)
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
    ({"SPACE_HOST": "a-b.hf.space", "HFCHAT_PUBLIC_URL": "https://c.d"}, "https://c.d", "http://127.0.0.1:7860"),
]


@pytest.mark.parametrize(("variables", "public", "local"), URLS, ids=[" ".join(row[0]) or "nothing" for row in URLS])
def test_the_addresses_are_written_as_a_browser_takes_them(
    variables: dict[str, str], public: str | None, local: str
) -> None:
    settings = make_settings(**variables)
    assert (settings.public_url, settings.local_url) == (public, local)
