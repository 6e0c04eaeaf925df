"""Error tree: every error that a caller can get, with its code, HTTP status, whose fault it is and whether a retry can help.

    HfchatError
    ├── CallerError                 the caller can mend it
    │   ├── MissingToken            401
    │   ├── InvalidToken            401
    │   ├── ExpiredToken            401
    │   ├── RevokedToken            401
    │   ├── SignInFailed            401  (the provider's fault where it fails)
    │   ├── InsufficientScope       403
    │   ├── ModelNotAllowed         403
    │   ├── InvalidRequest          400
    │   ├── NotFound                404
    │   ├── MethodNotAllowed        405
    │   ├── PayloadTooLarge         413
    │   ├── UnsupportedEncoding     415
    │   ├── LimitReached            time will help
    │   │   ├── RateLimitExceeded   429
    │   │   ├── BudgetExceeded      429
    │   │   └── TooManyStreams      429
    │   ├── ContextLengthExceeded   400
    │   ├── UnsupportedInput        400
    │   └── UpstreamRejected        400
    ├── OwnerError                  only who runs hfchat can mend it
    │   ├── ModelNotSupported       400  (the caller's fault where they named the model)
    │   ├── ModelGated              403
    │   ├── CreditsExhausted        503  (402 where the caller pays)
    │   ├── HfTokenInvalid          502  (401 where it is the caller's own)
    │   ├── HfTokenForbidden        502  (403 where it is the caller's own)
    │   ├── EndpointRetired         502
    │   ├── Overloaded              503
    │   ├── StoreUnavailable        503
    │   └── InternalError           500
    └── UpstreamError               the provider's, and it passes
        ├── UpstreamRateLimited     429
        ├── ModelLoading            503
        ├── UpstreamOverloaded      503
        ├── UpstreamTimeout         504
        ├── UpstreamUnavailable     502
        ├── UpstreamInterrupted     502
        └── UpstreamInvalidResponse 502

Where callers pay for themself, an error of the account that pays is theirs to mend: `HfchatError.blame_payer`.

Its sentences are in `i18n`, its JSON and headers in `http.error_response`.
"""

from collections.abc import Mapping
from typing import ClassVar, Literal

Fault = Literal["caller", "owner", "upstream"]
# OpenAI's client for Python waits no longer before it repeats a request by itself; the one for Node would wait for hours.
LONGEST_RETRY_WAIT_S = 60


class HfchatError(Exception):
    """The root. `reason` is the key of one of our sentences, which says more exactly what is wrong, and `params` its values.

    `provider_message` is a provider's own text, cleaned for the caller. It is shown as it is, and never looked up as a key.
    `param` is the field of the request (`messages[0].content`). `retry_after_s` is in whole seconds; `stated_wait_s` is the
    same where somebody stated it, and no default of ours. `provider` is who failed, where the router says it.
    For the log: `subject` and `token_id` of a verified token; `provider_status` and `provider_request_id` of a provider's
    refusal. `message` and `hint` are set by `hfchat.client`, for an error that came over HTTP.
    """

    code: ClassVar[str] = "internal_error"
    status: int = 500
    # The status where the account that pays is the caller's own; None where the error is not about that account.
    payer_status: ClassVar[int | None] = None
    retryable: ClassVar[bool] = False
    wait_s: ClassVar[int | None] = None
    # Another model may answer; a refused token or an empty account refuses every model.
    fallback_may_help: ClassVar[bool] = False
    fault: Fault = "owner"

    def __init__(
        self,
        reason: str = "",
        *,
        params: Mapping[str, int | str] | None = None,
        provider_message: str = "",
        param: str | None = None,
        retry_after_s: int | None = None,
        model: str | None = None,
        request_id: str | None = None,
        message: str = "",
        hint: str = "",
    ) -> None:
        super().__init__(message or provider_message or reason or self.code)
        self.reason = reason
        self.params = dict(params or {})
        self.provider_message = provider_message
        self.param = param
        self.retry_after_s = retry_after_s if retry_after_s is not None else self.wait_s
        self.stated_wait_s = retry_after_s
        self.provider: str | None = None
        self.model = model
        self.request_id = request_id
        self.message = message
        self.hint = hint
        self.own_account = False
        self.subject: str | None = None
        self.token_id: str | None = None
        self.provider_status: int | None = None
        self.provider_request_id: str | None = None

    def blame_payer(self) -> None:
        """The call was made with the caller's own Hugging Face token: what is wrong with that account is theirs to mend."""
        if self.payer_status is not None:
            self.status, self.fault, self.own_account = self.payer_status, "caller", True

    @property
    def worth_repeating(self) -> bool:
        """Whether the same request may succeed soon, so that a client may repeat it by itself."""
        return self.retryable and self.reason != "budget_never" and (self.retry_after_s or 0) <= LONGEST_RETRY_WAIT_S

    @property
    def type(self) -> str:
        """OpenAI's coarser name, which its clients read beside `code`."""
        by_status = {401: "authentication_error", 403: "permission_error", 429: "rate_limit_error"}
        if self.status in by_status:
            return by_status[self.status]
        return "invalid_request_error" if self.status < 500 else "server_error"


class CallerError(HfchatError):
    """The caller can mend it."""

    fault: Fault = "caller"
    status = 400


class MissingToken(CallerError):
    """No token came with the request."""

    code, status = "missing_token", 401


class InvalidToken(CallerError):
    """The token is malformed, forged, signed with another key, or not yet valid."""

    code, status = "invalid_token", 401


class ExpiredToken(CallerError):
    """The token was valid and is past its `exp`."""

    code, status = "expired_token", 401


class RevokedToken(CallerError):
    """The token was valid and is revoked."""

    code, status = "revoked_token", 401


class SignInFailed(CallerError):
    """Signing in with Hugging Face did not succeed; the fault is `upstream` where Hugging Face did not answer as it should."""

    code, status = "sign_in_failed", 401


class InsufficientScope(CallerError):
    """The token is valid, but without the scope (RFC 6750 section 3.1)."""

    code, status = "insufficient_scope", 403


class ModelNotAllowed(CallerError):
    """The owner does not offer this model."""

    code, status = "model_not_allowed", 403


class InvalidRequest(CallerError):
    """The request has a wrong form; `param` is the field."""

    code = "invalid_request"


class NotFound(CallerError):
    """There is nothing at this address."""

    code, status = "not_found", 404


class MethodNotAllowed(CallerError):
    """The address exists and does not take this method; `params` lists those it takes."""

    code, status = "method_not_allowed", 405


class PayloadTooLarge(CallerError):
    """The body is larger than is read."""

    code, status = "payload_too_large", 413


class UnsupportedEncoding(CallerError):
    """The body is compressed, or its text is not UTF-8."""

    code, status = "unsupported_encoding", 415


class LimitReached(CallerError):
    """A limit of the caller is reached; time will help."""

    status, retryable = 429, True


class RateLimitExceeded(LimitReached):
    """The caller's requests in this window are used up."""

    code = "rate_limit_exceeded"


class BudgetExceeded(LimitReached):
    """The reply may cost more tokens than the caller has left."""

    code = "budget_exceeded"


class TooManyStreams(LimitReached):
    """The caller has the most concurrent replies already."""

    code, wait_s = "too_many_streams", 5


class ContextLengthExceeded(CallerError):
    """The conversation and the reply asked for do not fit into the model."""

    code = "context_length_exceeded"


class UnsupportedInput(CallerError):
    """The model does not take what was sent: images, tools, a response format."""

    code = "unsupported_input"


class UpstreamRejected(CallerError):
    """The provider refused the request as wrong."""

    code = "upstream_rejected"


class OwnerError(HfchatError):
    """Only who runs hfchat can mend it."""


class ModelNotSupported(OwnerError):
    """No provider enabled on the account that pays serves the model."""

    code, status, fallback_may_help = "model_not_supported", 400, True
    payer_status = 400


class ModelGated(OwnerError):
    """The model's terms were not accepted by the account that pays."""

    code, status, fallback_may_help = "model_gated", 403, True
    payer_status = 403


class CreditsExhausted(OwnerError):
    """The account that pays has no credit left."""

    code, status = "credits_exhausted", 503
    payer_status = 402


class HfTokenInvalid(OwnerError):
    """Hugging Face does not know the token of the account that pays, or it is past its date."""

    code, status = "hf_token_invalid", 502
    payer_status = 401


class HfTokenForbidden(OwnerError):
    """The token of the account that pays lacks the Inference Providers permission."""

    code, status = "hf_token_forbidden", 502
    payer_status = 403


class EndpointRetired(OwnerError):
    """The address that is called upstream is gone, or is not a chat completions address."""

    code, status = "endpoint_retired", 502


class Overloaded(OwnerError):
    """This server is full, or about to stop."""

    code, status, retryable, wait_s = "overloaded", 503, True, 5


class StoreUnavailable(OwnerError):
    """The store does not answer, so every request is refused."""

    code, status, retryable, wait_s = "store_unavailable", 503, True, 5


class InternalError(OwnerError):
    """A fault in hfchat itself."""

    code, status = "internal_error", 500


class UpstreamError(HfchatError):
    """The provider's, and it passes."""

    fault: Fault = "upstream"
    status, retryable, fallback_may_help = 502, True, True


class UpstreamRateLimited(UpstreamError):
    """The provider limits how often it may be called."""

    code, status, wait_s = "upstream_rate_limited", 429, 10


class ModelLoading(UpstreamError):
    """The model is being loaded."""

    code, status, wait_s = "model_loading", 503, 20


class UpstreamOverloaded(UpstreamError):
    """The provider has more work than it can take."""

    code, status, wait_s = "upstream_overloaded", 503, 5


class UpstreamTimeout(UpstreamError):
    """Nothing came for longer than HF_CHAT_TIMEOUT_S, or the provider itself gave up waiting."""

    code, status = "upstream_timeout", 504


class UpstreamUnavailable(UpstreamError):
    """The provider cannot be reached, or broke."""

    code = "upstream_unavailable"


class UpstreamInterrupted(UpstreamError):
    """The reply was cut off in the middle."""

    code = "upstream_interrupted"


class UpstreamInvalidResponse(UpstreamError):
    """The provider answered something that is no reply."""

    code = "upstream_invalid_response"


def catalogue() -> dict[str, type[HfchatError]]:
    """Every error by its code."""
    errors: list[type[HfchatError]] = list(HfchatError.__subclasses__())
    for error in errors:
        errors += error.__subclasses__()
    return {error.code: error for error in errors if "code" in vars(error)}
