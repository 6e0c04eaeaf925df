"""What the OpenAPI document says in words only, for Schemathesis: it makes bodies of the document's schemas."""

import os
from typing import Any

import schemathesis
from schemathesis import GenerationMode


@schemathesis.hook
def map_case(_: object, case: Any) -> Any:
    """A good body made good in this too; bodies that are to be refused stay as they are."""
    body = case.body
    if case.meta.generation.mode == GenerationMode.POSITIVE and isinstance(body, dict):
        if case.path == "/api/ai/chat":
            body["messages"][-1]["role"] = "user"  # "the last one is the user's": no schema says that of a list
        if case.path == "/api/ai/revoke":
            good = {"token": os.environ["REVOKED_TOKEN"], "jti": "an-id"}  # a token is signed here, or it is none
            case.body = {name: value and good[name] for name, value in body.items()}
    return case
