"""What an error is, what it says, and how it is written into an answer."""

import json
import re
import string
from pathlib import Path

from hfchat import errors
from hfchat.errors import HfchatError, catalogue
from hfchat.http.error_response import error_body, error_headers, hint_in_message, in_words, say
from hfchat.i18n.amounts import spoken
from hfchat.i18n.errors import CREDITS_PAGE, DETAILS, ERRORS, PROVIDERS_PAGE, TOKEN_PAGE
from hfchat.i18n.language import LANGUAGES, Language
from tests.support.rows import each_row

SOURCES = "\n".join(path.read_text("utf-8") for path in (Path(__file__).parent.parent / "hfchat").rglob("*.py"))
KEYS = ["code", "message", "hint", "fault", "retryable", "retry_after_s", "param", "type", "request_id"]

# code, status, fault, whether trying again can help
TABLE = [
    ("missing_token", 401, "caller", False),
    ("invalid_token", 401, "caller", False),
    ("expired_token", 401, "caller", False),
    ("revoked_token", 401, "caller", False),
    ("sign_in_failed", 401, "caller", False),
    ("insufficient_scope", 403, "caller", False),
    ("model_not_allowed", 403, "caller", False),
    ("invalid_request", 400, "caller", False),
    ("not_found", 404, "caller", False),
    ("method_not_allowed", 405, "caller", False),
    ("payload_too_large", 413, "caller", False),
    ("unsupported_encoding", 415, "caller", False),
    ("rate_limit_exceeded", 429, "caller", True),
    ("budget_exceeded", 429, "caller", True),
    ("too_many_streams", 429, "caller", True),
    ("context_length_exceeded", 400, "caller", False),
    ("unsupported_input", 400, "caller", False),
    ("upstream_rejected", 400, "caller", False),
    ("model_not_supported", 400, "owner", False),
    ("model_gated", 403, "owner", False),
    ("credits_exhausted", 503, "owner", False),
    ("hf_token_invalid", 502, "owner", False),
    ("hf_token_forbidden", 502, "owner", False),
    ("endpoint_retired", 502, "owner", False),
    ("upstream_rate_limited", 429, "upstream", True),
    ("model_loading", 503, "upstream", True),
    ("upstream_overloaded", 503, "upstream", True),
    ("upstream_timeout", 504, "upstream", True),
    ("upstream_unavailable", 502, "upstream", True),
    ("upstream_interrupted", 502, "upstream", True),
    ("upstream_invalid_response", 502, "upstream", True),
    ("overloaded", 503, "owner", True),
    ("store_unavailable", 503, "owner", True),
    ("internal_error", 500, "owner", False),
]
CODES = [row[0] for row in TABLE]
OWNERS_PAGES = [
    ("model_not_supported", PROVIDERS_PAGE),
    ("model_gated", "https://huggingface.co/meta-llama/Llama-3.1-8B-Instruct "),
    ("credits_exhausted", CREDITS_PAGE),
    ("hf_token_invalid", TOKEN_PAGE),
    ("hf_token_forbidden", TOKEN_PAGE),
    ("endpoint_retired", "https://router.huggingface.co/v1"),
]


def every_class(root: type[HfchatError] = HfchatError) -> list[type[HfchatError]]:
    return [found for error in root.__subclasses__() for found in (error, *every_class(error))]


def example(code: str) -> HfchatError:
    return catalogue()[code](
        "at_most", params={"value": 2}, param="top_p", model="meta-llama/Llama-3.1-8B-Instruct:novita"
    )


@each_row(("code", "status", "fault", "retryable"), TABLE, ids=CODES)
def test_an_error_has_the_promised_code_status_and_fault(code: str, status: int, fault: str, retryable: bool) -> None:
    error = catalogue()[code]()
    assert (error.code, error.status, error.fault, error.retryable) == (code, status, fault, retryable)


def test_the_catalogue_has_each_code_once_and_no_other() -> None:
    assert sorted(error.code for error in every_class() if "code" in vars(error)) == sorted(CODES)
    assert set(catalogue()) == set(CODES)


def test_the_docstring_shows_the_tree_as_it_is() -> None:
    shown = re.findall(r"[├└]── (\w+) +(\d{3})", errors.__doc__ or "")
    assert sorted(shown) == sorted((error.__name__, str(error.status)) for error in catalogue().values())


def test_openais_type_follows_the_status() -> None:
    types = {status: catalogue()[code]().type for code, status, _, _ in TABLE}
    assert types == {
        400: "invalid_request_error",
        401: "authentication_error",
        403: "permission_error",
        404: "invalid_request_error",
        405: "invalid_request_error",
        413: "invalid_request_error",
        415: "invalid_request_error",
        429: "rate_limit_error",
        500: "server_error",
        502: "server_error",
        503: "server_error",
        504: "server_error",
    }


@each_row("language", LANGUAGES)
def test_a_language_has_sentences_for_each_code_and_no_other(language: Language) -> None:
    assert set(ERRORS[language]) == set(CODES)


@each_row("to_owner", [False, True], ids=["guest", "owner"])
@each_row("code", CODES)
def test_each_language_says_what_happened_and_what_to_do(code: str, to_owner: bool) -> None:
    pairs = [say(example(code), language, to_owner=to_owner) for language in LANGUAGES]
    texts = [text for pair in pairs for text in pair]
    for text in texts:
        assert len(text.encode()) > 10
        assert not set("{}|") & set(text)
        assert not text[0].islower()
    assert len(set(texts)) == len(texts)


@each_row("code", CODES)
def test_a_text_asks_only_for_what_is_known(code: str) -> None:
    for text in (ERRORS[language][code] for language in LANGUAGES):
        sentences = f"{text.message} {text.hint} {text.owner_hint}"
        assert {name for _, name, _, _ in string.Formatter().parse(sentences) if name is not None} <= {
            "model",
            "detail",
            "wait",
            "page",
        }


@each_row("language", LANGUAGES)
@each_row("code", CODES)
def test_a_guest_is_not_sent_to_the_owners_pages_nor_told_to_pay(code: str, language: Language) -> None:
    said = " ".join(say(example(code), language))
    assert not re.search(
        r"hf\.co|huggingface\.co|settings|billing|factura|\bpay|\bpag[au]|HF_CHAT|HUGGINGFACE|JWT_|\.env", said
    )


@each_row("language", LANGUAGES)
@each_row(("code", "page"), OWNERS_PAGES, ids=[code for code, _ in OWNERS_PAGES])
def test_the_owner_is_given_the_page_that_mends_it(code: str, page: str, language: Language) -> None:
    assert page in say(example(code), language, to_owner=True)[1]
    assert page not in say(example(code), language)[1]


def test_the_token_page_has_the_permission_preselected() -> None:
    assert TOKEN_PAGE == (
        "https://huggingface.co/settings/tokens/new?ownUserPermissions=inference.serverless.write&tokenType=fineGrained"
    )


@each_row("code", [code for code, _, fault, _ in TABLE if fault == "owner" and code != "internal_error"])
def test_a_guest_learns_that_an_owners_fault_is_not_theirs_to_mend(code: str) -> None:
    for text in (ERRORS[language][code] for language in LANGUAGES):
        assert text.owner_hint
        assert text.owner_hint != text.hint


def test_a_model_without_a_name_is_called_the_model() -> None:
    assert say(errors.ModelLoading(), "en")[0] == "The model is still loading."
    assert say(errors.ModelLoading(), "es")[0] == "El modelo todavía se está cargando."


def test_a_waiting_time_is_said_in_seconds() -> None:
    assert "about 7 seconds" in say(errors.ModelLoading(retry_after_s=7), "en")[1]
    assert "unos 20 segundos" in say(errors.ModelLoading(), "es")[1]


FACTS: dict[str, int | str] = {"limit": 50_000, "window": "day", "reset_s": 12, "needed": 1_064, "left": 7}


@each_row("language", LANGUAGES)
@each_row("key", DETAILS["en"])
def test_a_detail_is_said_in_each_language_with_its_value(key: str, language: Language) -> None:
    text = DETAILS[language][key]
    said = say(errors.InvalidRequest(key, param="top_p", params={**FACTS, "value": 417}), language)[0]
    assert said.endswith(text.format(value="417", **spoken(FACTS, language)))
    assert ("417" in said) == ("{value}" in text)
    assert "`top_p`: " in said
    assert text.endswith((".", "。")) == (key not in ("no_models", "models_offered", "methods"))  # inside a sentence


MINUTE: dict[str, int | str] = {"limit": 30, "window": "minute", "reset_s": 12}
# what says no, in English, in Spanish
REFUSALS: dict[str, tuple[HfchatError, str, str]] = {
    "rate": (
        errors.RateLimitExceeded("rate_used", params=MINUTE),
        "Too many requests: 30 requests a minute; try again in 12 s.",
        "Demasiadas peticiones: 30 peticiones por minuto; inténtalo de nuevo en 12 s.",
    ),
    "budget": (
        errors.BudgetExceeded("budget_used", params=FACTS),
        "Too few tokens are left: your 50,000 tokens for today are used; they return at midnight UTC.",
        "Quedan muy pocos tokens: tus 50\u00a0000 tokens de hoy ya están usados; vuelven a medianoche UTC.",
    ),
    "what is left of the budget": (
        errors.BudgetExceeded("budget_short", params=FACTS),
        "Too few tokens are left: this could use 1,064, but only 7 of your 50,000 for today are left. "
        "The rest returns at midnight UTC.",
        "Quedan muy pocos tokens: esto podría usar 1\u00a0064, y quedan 7 de tus 50\u00a0000 de hoy; "
        "el resto vuelve a medianoche UTC.",
    ),
    "replies that hold the budget": (
        errors.BudgetExceeded("budget_held", params=FACTS),
        "Too few tokens are left: this could use 1,064, but only 7 of your 50,000 for today are free while your other "
        "replies go on.",
        "Quedan muy pocos tokens: esto podría usar 1\u00a0064, y hay 7 libres de tus 50\u00a0000 de hoy mientras siguen "
        "tus otras respuestas.",
    ),
    "the whole budget": (
        errors.BudgetExceeded("budget_never", params={**FACTS, "window": "hour", "limit": 1_000}),
        "Too few tokens are left: this could use 1,064, more than all your 1,000 for this hour.",
        "Quedan muy pocos tokens: esto podría usar 1\u00a0064, más que todos tus 1\u00a0000 de esta hora.",
    ),
    "streams": (
        errors.TooManyStreams("streams_used", params={"limit": 4}),
        "Too many replies at once: you may have 4 replies in progress.",
        "Demasiadas respuestas a la vez: puedes tener 4 respuestas en curso.",
    ),
    "no model": (
        errors.ModelNotAllowed("no_models", model="a/b"),
        "The model `a/b` is not offered here.",
        "El modelo `a/b` no se ofrece aquí.",
    ),
}


@each_row(("error", "english", "spanish"), REFUSALS.values(), ids=REFUSALS)
def test_a_limit_is_said_with_its_numbers(error: HfchatError, english: str, spanish: str) -> None:
    assert (say(error, "en")[0], say(error, "es")[0]) == (english, spanish)


def test_who_may_use_no_model_is_told_why() -> None:
    error = errors.ModelNotAllowed("no_models", model="a/b")
    assert "none, because the models that this token names are not offered here." in say(error, "en")[1]
    assert "ninguno, porque los modelos que nombra este token no se ofrecen aquí." in say(error, "es")[1]


def test_every_detail_that_the_program_names_has_a_text_and_every_text_is_named() -> None:
    kinds = "NotFound|UnsupportedEncoding|InvalidToken|InvalidRequest|InsufficientScope|MissingToken|PayloadTooLarge"
    kinds += "|RateLimitExceeded|BudgetExceeded|TooManyStreams"
    named = set(re.findall(rf'(?:{kinds})\(\s*f?"([a-z_]+)[|"]', SOURCES))
    assert len(named) > 10
    assert named <= set(DETAILS["en"])
    assert [key for key in DETAILS["en"] if not re.search(rf'"{key}["|]', SOURCES)] == []


OWN_KEYS = ["required", "no_models", "at_most|2", "no_pictures|a/b", "empty_content"]


@each_row("words", ["The field {prompt} | is %s too odd", *OWN_KEYS])
def test_a_providers_own_words_are_kept_as_they_are_also_where_a_reason_of_ours_is_named_like_them(words: str) -> None:
    assert in_words(errors.UpstreamRejected(provider_message=words), "en") == words
    assert say(errors.UpstreamRejected(provider_message=words), "es")[0].endswith(words)


@each_row("code", CODES)
def test_a_body_has_the_promised_keys_and_is_json(code: str) -> None:
    body = json.loads(json.dumps(error_body(example(code), "en", request_id="r1")))
    assert list(body) == ["error"]
    assert sorted(body["error"]) == sorted(KEYS)
    assert body["error"]["code"] == code
    assert body["error"]["param"] == "top_p"
    assert body["error"]["request_id"] == "r1"


def test_a_body_is_written_in_the_language_and_to_whom_it_is_for() -> None:
    error = errors.CreditsExhausted(request_id="of-the-error")
    guest, owner = error_body(error, "es")["error"], error_body(error, "es", to_owner=True)["error"]
    assert (guest["message"], guest["hint"]) == say(error, "es")
    assert (owner["message"], owner["hint"]) == say(error, "es", to_owner=True)
    assert guest["hint"] != owner["hint"]
    assert guest["request_id"] == "of-the-error"


def test_a_fault_can_be_another_for_one_error_without_changing_its_kind() -> None:
    error = errors.ModelNotSupported()
    error.fault = "caller"
    assert error_body(error)["error"]["fault"] == "caller"
    assert errors.ModelNotSupported().fault == "owner"


NEVER = {"X-Should-Retry": "false"}
HEADERS = [
    (errors.MissingToken(), {"WWW-Authenticate": 'Bearer realm="hfchat"'}),
    (errors.InvalidToken(), {"WWW-Authenticate": 'Bearer realm="hfchat", error="invalid_token"'}),
    (errors.ExpiredToken(), {"WWW-Authenticate": 'Bearer realm="hfchat", error="invalid_token"'}),
    (errors.RevokedToken(), {"WWW-Authenticate": 'Bearer realm="hfchat", error="invalid_token"'}),
    (errors.InsufficientScope(), {"WWW-Authenticate": 'Bearer realm="hfchat", error="insufficient_scope"'}),
    (errors.ModelNotAllowed(), {}),
    (errors.MethodNotAllowed("methods", params={"value": "GET, HEAD"}), {"Allow": "GET, HEAD"}),
    (errors.RateLimitExceeded(retry_after_s=12), {"Retry-After": "12"}),
    (errors.RateLimitExceeded(retry_after_s=60), {"Retry-After": "60"}),
    (errors.RateLimitExceeded(retry_after_s=61), {"Retry-After": "61", **NEVER}),
    (errors.BudgetExceeded(retry_after_s=3600), {"Retry-After": "3600", **NEVER}),
    (errors.BudgetExceeded("budget_never", retry_after_s=9), {"Retry-After": "9", **NEVER}),
    (errors.TooManyStreams(), {"Retry-After": "5"}),
    (errors.UpstreamRateLimited(), {"Retry-After": "10"}),
    (errors.UpstreamRateLimited(retry_after_s=33), {"Retry-After": "33"}),
    (errors.UpstreamRateLimited(retry_after_s=7200), {"Retry-After": "7200", **NEVER}),
    (errors.ModelLoading(), {"Retry-After": "20"}),
    (errors.UpstreamOverloaded(), {"Retry-After": "5"}),
    (errors.Overloaded(), {"Retry-After": "5"}),
    (errors.StoreUnavailable(), {"Retry-After": "5"}),
    (errors.UnsupportedEncoding(), {"Accept-Encoding": "identity", **NEVER}),
    (errors.CreditsExhausted(), NEVER),
    (errors.HfTokenInvalid(), NEVER),
    (errors.EndpointRetired(), NEVER),
    (errors.UpstreamUnavailable(), {}),
    (errors.UpstreamTimeout(retry_after_s=3), {}),
    (errors.InternalError(), NEVER),
]


@each_row(("error", "headers"), HEADERS, ids=[error.code for error, _ in HEADERS])
def test_an_error_brings_its_headers(error: HfchatError, headers: dict[str, str]) -> None:
    expected = headers if error.retryable else {**headers, **NEVER}
    assert error_headers(error) == expected


def test_openais_clients_get_the_hint_with_the_message() -> None:
    error = error_body(errors.MissingToken(), "en")["error"]
    body = hint_in_message(error_body(errors.MissingToken(), "en"))
    assert body == {"error": {**error, "message": f"{error['message']} {error['hint']}"}}


# The ledger knows when their windows end.
WINDOWED: dict[str, dict[str, int]] = {
    "rate_limit_exceeded": {"retry_after_s": 12},
    "budget_exceeded": {"retry_after_s": 3600},
}


@each_row("code", [code for code, status, _, again in TABLE if again and status in (429, 503)])
def test_what_can_be_tried_again_says_when(code: str) -> None:
    assert int(error_headers(catalogue()[code](**WINDOWED.get(code, {})))["Retry-After"]) > 0


def test_an_exception_reads_as_its_message_its_detail_or_its_code() -> None:
    assert str(errors.InvalidRequest("required", message="Said by the server.")) == "Said by the server."
    assert str(errors.InvalidRequest("required")) == "required"
    assert str(errors.InvalidRequest()) == "invalid_request"
