"""Validation of JSON bodies by pydantic; an error names the field and what is wrong with it."""

import codecs
from typing import Annotated, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from hfchat.errors import InvalidRequest
from hfchat.http.json_encoding import mended
from hfchat.types import MAX_TOKENS, MODEL_ID

Body = TypeVar("Body", bound=BaseModel)
STRICT = ConfigDict(extra="forbid", strict=True, hide_input_in_errors=True)
_ModelId = Annotated[str, Field(min_length=1, max_length=200, json_schema_extra={"pattern": f"^{MODEL_ID.pattern}$"})]


def _whole(value: object) -> object:
    return int(value) if isinstance(value, float) and value.is_integer() else value


# 1.0 is an integer in JSON Schema, and in some languages.
_Length = Annotated[int, Field(ge=1, le=MAX_TOKENS), BeforeValidator(_whole)]


class ChatParameters(BaseModel):
    """The parameters of a call besides its messages, for the API and the page."""

    model_config = STRICT
    model: Annotated[_ModelId | None, Field(description="One that this chat offers.")] = None
    max_tokens: Annotated[
        _Length | None, Field(description="Cut to the owner's limit, which stands beside each model.")
    ] = None
    temperature: Annotated[float | None, Field(ge=0, le=2, allow_inf_nan=False, description="0 to 2.")] = None
    top_p: Annotated[float | None, Field(gt=0, le=1, allow_inf_nan=False, description="Above 0, up to 1.")] = None


# From pydantic's error types to our reasons, and the value of the error's context that the sentence names.
_FAULTS = {
    "json_invalid": ("not_json", ""),
    "model_type": ("object", ""),
    "list_type": ("list", ""),
    "string_type": ("text", ""),
    "int_type": ("whole_number", ""),
    "int_from_float": ("whole_number", ""),
    "float_type": ("number", ""),
    "finite_number": ("number", ""),
    "bool_type": ("boolean", ""),
    "missing": ("required", ""),
    "extra_forbidden": ("unknown_field", ""),
    "literal_error": ("one_of", "expected"),
    "greater_than_equal": ("at_least", "ge"),
    "less_than_equal": ("at_most", "le"),
    "greater_than": ("more_than", "gt"),
    "string_too_short": ("required", ""),
    "too_short": ("no_messages", ""),
    "too_long": ("too_many_messages", "max_length"),
    "string_too_long": ("at_most", "max_length"),
}


def parse(model: type[Body], body: bytes) -> Body:
    """The body as this model. Raises: InvalidRequest with the field and the reason; UnsupportedEncoding."""
    body = body.removeprefix(codecs.BOM_UTF8)
    try:
        return model.model_validate_json(body)
    except ValidationError as error:
        faults = error.errors(include_url=False, include_input=False)
    if faults[0]["type"] == "json_invalid":
        try:
            return model.model_validate_json(mended(body))
        except ValidationError as error:
            faults = error.errors(include_url=False, include_input=False)
    # A mistyped name first: it is why the right one is missing.
    fault = min(faults, key=lambda fault: fault["type"] != "extra_forbidden")
    field = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in fault["loc"]).lstrip(".")
    reason, value = _FAULTS.get(fault["type"], ("unreadable", ""))
    params = {"value": fault["ctx"][value]} if value else None
    raise InvalidRequest(reason, params=params, param=field[:200] or "body")
