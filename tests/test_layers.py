"""A module imports only from floors below its own."""

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "hfchat"
FLOORS = {
    0: ["__init__", "errors", "error_texts", "texts", "provider_words", "limits", "appearance", "media"],
    1: [
        *("types", "error_body", "logs", "pages", "page_texts", "page_language", "history_texts", "sse"),
        *("security_policy", "session_cookie"),
        "silence",
        "crowd",
        "page_assets",
        "page_renderer",
        "picture_texts",
        "chunks",
        "page_thoughts",
        "failure_rules",
        "page_pieces",
        "protocol",
        "json_bounds",
        "request_fields",
        "page_visitors",
    ],
    2: [
        *("conversation", "policy", "call_body", "counting", "ledger", "public_keys", "translate", "offline"),
        *(
            "message_fields",
            "page_early",
            "page_sessions",
            "page_head",
            "pool",
            "model_list",
            "turn_response",
            "sqlite_file",
        ),
    ],
    3: [
        "body_reader",
        *("setting_values", "tokens", "jwks", "passage", "sqlite_worker", "redis_ledger", "accounts", "reply"),
        *(
            "page_history",
            "page_listeners",
            "page_pictures",
            "page_ratings",
            "page_who",
            "page_theme",
            "own_token",
            "openai_body",
            "api_bodies",
            "catalog",
        ),
    ],
    4: [
        *("early_refusal", "idempotency_runs", "page_bounds"),
        *("setting_rules", "verifier", "sqlite_ledger", "turns", "upstream", "openai_schema"),
        *("page_models", "page_notice", "page_shown"),
    ],
    5: [
        "idempotency",
        "turn_body",
        "chat_interface",
        "settings",
        "stores",
        "authentication",
        "revocation",
        "chat",
        "page_choices",
    ],
    6: [
        "page_conversations",
        "assembly",
        "gate",
        "signin",
        "page_settings",
        "page_turn",
        "health",
        "docs",
        "openai_api",
    ],
    7: ["page_layout", "api", "account_api", "models_api", "documentation", "command_ledger"],
    8: ["ui", "token_commands", "usage_command"],
    9: ["app"],
    10: ["serve", "cli", "client"],
    11: ["__main__"],
}
FLOOR_OF = {module: floor for floor, modules in FLOORS.items() for module in modules}
ONLY = {
    "gradio": {
        "chat_interface",
        "ui",
        "page_bounds",
        "page_conversations",
        "page_layout",
        "page_ratings",
        "page_renderer",
        "page_settings",
        "page_theme",
        "page_turn",
        "page_who",
    },
    "huggingface_hub": {"upstream", "translate"},
    "jwt": {"tokens", "public_keys"},
    "fastapi": {"account_api", "models_api", "documentation", "ui", "app"},
    "aiohttp": {"pool", "upstream", "translate"},
    "pydantic": {"api_bodies", "settings", "setting_values", "setting_rules"},
    "sqlite3": {"sqlite_file", "sqlite_worker", "sqlite_ledger"},
    "redis": {"redis_ledger"},
    "hfchat.settings": {"app", "serve", "cli", "assembly", "command_ledger", "token_commands", "usage_command"},
}


def imports_of(module: str) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse((PACKAGE / f"{module}.py").read_text("utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
    return found


def test_every_module_has_a_floor() -> None:
    assert {path.stem for path in PACKAGE.glob("*.py")} == set(FLOOR_OF)


@pytest.mark.parametrize("module", FLOOR_OF)
def test_a_module_imports_from_below(module: str) -> None:
    ours = {name.removeprefix("hfchat.") for name in imports_of(module) if name.startswith("hfchat.")}
    assert [name for name in ours if FLOOR_OF[name] >= FLOOR_OF[module]] == []


@pytest.mark.parametrize("library", ONLY)
def test_a_library_is_known_to_few(library: str) -> None:
    users = {
        module for module in FLOOR_OF if any((f"{name}.").startswith(f"{library}.") for name in imports_of(module))
    }
    assert users <= ONLY[library]
