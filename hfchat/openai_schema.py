"""What `/v1/chat/completions` takes and answers, as the OpenAPI document has it: what is checked, not all of OpenAI's API."""

from typing import Any

from hfchat.call_body import LENGTHS
from hfchat.openai_body import AROUND_A_POLICY, MAX_MESSAGES, MAX_REPLIES, MAX_TOKENS
from hfchat.types import MODEL_ID


def _to(most: int, description: str) -> dict[str, Any]:
    return {"type": ["integer", "null"], "minimum": 1, "maximum": most, "description": description}


_MESSAGE = {
    "type": "object",
    "required": ["role"],
    "properties": {
        "role": {"type": "string", "minLength": 1},
        "content": {"type": ["string", "array", "null"], "description": "A text, or parts: texts and pictures."},
    },
}

COMPLETION: dict[str, Any] = {
    "type": "object",
    "title": "CompletionBody",
    "description": "A request of OpenAI's chat completions. What is not named here passes to the provider as it is.",
    "required": ["messages"],
    "properties": {
        "messages": {"type": "array", "minItems": 1, "maxItems": MAX_MESSAGES, "items": _MESSAGE},
        "model": {
            "type": ["string", "null"],
            "pattern": f"^({MODEL_ID.pattern})?$",
            "description": "One that this chat offers.",
        },
        "stream": {"type": ["boolean", "null"], "description": "Server-sent events instead of one JSON object."},
        "n": _to(MAX_REPLIES, "Several replies, each of which counts."),
        **{name: _to(MAX_TOKENS, "Cut to the owner's limit.") for name in LENGTHS},
    },
    "patternProperties": {
        f"^({'|'.join(AROUND_A_POLICY)})$": {"type": "null", "description": "Refused: it would go around a policy."}
    },
    "examples": [{"messages": [{"role": "user", "content": "Why is the sky blue?"}]}],
}

ANSWER: dict[str, Any] = {
    "type": "object",
    "title": "Completion",
    "description": "The provider's own answer.",
    "required": ["choices"],
    "properties": {"choices": {"type": "array", "items": {"type": "object"}}},
}
