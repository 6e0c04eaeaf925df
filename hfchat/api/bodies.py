"""Request and response schemas of `/api/ai/*`, as pydantic models."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from hfchat.chat.conversation import MAX_MESSAGES
from hfchat.http.validation import STRICT, ChatParameters

# What `str.strip` leaves something of, in the regular expressions of JSON Schema.
_NOT_BLANK = {"pattern": r"[^\s\u001c-\u001f\u0085]"}


class ChatMessage(BaseModel):
    """One message; the owner's system prompt is the owner's to set."""

    model_config = STRICT
    role: Literal["user", "assistant"]
    content: Annotated[str, Field(json_schema_extra=_NOT_BLANK)]


class ChatBody(ChatParameters):
    """What `POST /api/ai/chat` takes."""

    model_config = ConfigDict(
        **STRICT,
        json_schema_extra={"examples": [{"messages": [{"role": "user", "content": "Why is the sky blue?"}]}]},
    )
    messages: Annotated[
        list[ChatMessage],
        Field(min_length=1, max_length=MAX_MESSAGES, description=f"1 to {MAX_MESSAGES}; the last one is the user's."),
    ]
    stream: Annotated[bool | None, Field(description="Server-sent events instead of one JSON object.")] = None


class UsageBody(BaseModel):
    """Tokens as the provider counted them. Where it does not count, they are estimated, and `estimated` is true."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int
    estimated: bool | None = None


class ReplyBody(BaseModel):
    """The answer. `finish_reason` and `note` are there where a filter cut it, or the model only wanted a tool."""

    reply: str
    model: str
    usage: UsageBody
    finish_reason: str | None = None
    note: str | None = None


class RemainingBody(BaseModel):
    """A limit and what is left of it, until it is whole again in `reset_s` seconds."""

    limit: int
    remaining: int
    reset_s: int | None = None
    window: str | None = None


class QuotaBody(BaseModel):
    """What this token may still use: requests, tokens of prompt and completion, replies at once."""

    subject: str
    rate: RemainingBody | None
    budget: RemainingBody | None
    streams: RemainingBody | None


class ModelBody(BaseModel):
    """A model by the name that a request gives it, and the most tokens of a reply; what is not known of it is left out."""

    id: str
    default: bool
    max_tokens: int
    context_length: int | None = None
    input_modalities: list[str] | None = None
    pricing: dict[str, float] | None = None


class ModelsBody(BaseModel):
    """What this token may use."""

    models: list[ModelBody]


class OpenAiModelBody(BaseModel):
    """A model, as OpenAI's API describes one."""

    id: str
    object: Literal["model"]
    created: int
    owned_by: str
    context_length: int | None = None
    max_tokens: int


class OpenAiModelsBody(BaseModel):
    """What this token may use, in the form of OpenAI's API."""

    object: Literal["list"]
    data: list[OpenAiModelBody]


def _alone(name: str, other: str) -> dict[str, Any]:
    return {"required": [name], "properties": {name: {"type": "string"}, other: {"type": "null"}}}


class RevokeBody(BaseModel):
    """What `POST /api/ai/revoke` takes: one of the two."""

    model_config = ConfigDict(**STRICT, json_schema_extra={"oneOf": [_alone("token", "jti"), _alone("jti", "token")]})
    token: Annotated[str | None, Field(min_length=1, description="The whole token.")] = None
    jti: Annotated[str | None, Field(min_length=1, max_length=255, description="Its id, as the log has it.")] = None


class RevokedBody(BaseModel):
    """The id of the token that is refused from now on."""

    revoked: str


class ErrorObject(BaseModel):
    """What went wrong, whose fault it is, and what to do."""

    code: str
    message: str
    hint: str
    fault: Literal["caller", "owner", "upstream"]
    retryable: bool
    retry_after_s: int | None
    param: str | None
    type: str
    request_id: str


class ErrorBody(BaseModel):
    """Every error, on every route."""

    error: ErrorObject


_ERRORS = {
    400: "The request is wrong, or the model cannot take it",
    401: "No token, or not a good one",
    402: "The caller pays for themself, and has no credit left",
    403: "The token does not allow it",
    404: "There is nothing of this name",
    413: "The body is too large",
    415: "The body is compressed, or not UTF-8",
    429: "Too often; see Retry-After",
    500: "A fault of this program",
    502: "The provider failed, or the owner's set-up did",
    503: "Try again; see Retry-After",
    504: "The provider took too long",
}


def errors(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The errors of a route, for the OpenAPI document: these, and those that any route may answer."""
    return {
        status: {"model": ErrorBody, "description": description}
        for status, description in _ERRORS.items()
        if status in (*statuses, 401, 500, 503)
    }


def body_of(model: type[BaseModel]) -> dict[str, Any]:
    """The model as the body of a route, for the OpenAPI document, which `openapi` puts its `$defs` into."""
    return takes(model.model_json_schema(ref_template="#/components/schemas/{model}"))


def takes(schema: dict[str, Any]) -> dict[str, Any]:
    """A JSON Schema as the body of a route."""
    return {"requestBody": {"required": True, "content": {"application/json": {"schema": schema}}}}
