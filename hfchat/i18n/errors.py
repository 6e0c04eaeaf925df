"""Sentences of errors: what happened, what the caller can do, what the owner can do. In the files under `errors`.

A caller is never told to pay, or to mend what only the owner can; `owner_hint` goes to the owner's log and to tokens
with the scope `admin`. `payer_message` and `payer_hint` are for a caller who pays for themself, of their own account.
`{model}` is the model's id or the words "the model"; `{detail}` is a sentence of `details` or
the provider's own words, cleaned.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from hfchat.i18n.language import ENGLISH, Language
from hfchat.i18n.sentences import Sentences, section

PROVIDERS_PAGE = "https://hf.co/settings/inference-providers"
TOKEN_PAGE = (
    "https://huggingface.co/settings/tokens/new?ownUserPermissions=inference.serverless.write&tokenType=fineGrained"  # noqa: S105
)
CREDITS_PAGE = "https://huggingface.co/settings/billing"


@dataclass(frozen=True, slots=True)
class ErrorSentences:
    """The sentences of one error in one language."""

    message: str
    hint: str
    owner_hint: str = ""
    payer_message: str = ""
    payer_hint: str = ""


# By the error's code.
ERRORS: Mapping[Language, Mapping[str, ErrorSentences]] = MappingProxyType(
    {
        language: MappingProxyType({code: ErrorSentences(**texts) for code, texts in errors.items()})
        for language, errors in section("errors").items()
    }
)
# What some messages name as `{detail}`: the sentence of an error's reason, with its params as placeholders.
DETAILS: Sentences = section("details")
# What `{model}` is in an error that names none.
THE_MODEL: Mapping[Language, str] = section("the_model")
# Those that an address of the sign-in page may name: why a token is refused, in sentences that are whole without a value.
SIGN_IN_DETAILS = frozenset(
    key
    for key, text in DETAILS[ENGLISH].items()
    if key == "two_sessions" or (key.startswith(("token_", "sign_in_")) and key != "token_or_id" and "{" not in text)
)
