"""Chat endpoint: a turn over HTTP, the same at both endpoints: its body is read within limits, its answer is streamed or
gathered, and given once for each `Idempotency-Key`.
"""

from collections.abc import Callable
from contextlib import ExitStack
from functools import partial

from starlette.requests import Request
from starlette.responses import Response

from hfchat.api.idempotency import OnceResponse, Try, key_of
from hfchat.api.idempotency_runs import Runs
from hfchat.api.streaming import Form, TurnResponse
from hfchat.chat.chat import Chat, authorize
from hfchat.chat.early_refusal import is_small, refuse_too_large, refuse_used_up
from hfchat.http.body import BodyReader, content_length
from hfchat.http.in_thread import LARGE_BYTES
from hfchat.http.json_bounds import check_json
from hfchat.i18n.language import language_of
from hfchat.ledger.ledger import Ledger
from hfchat.ledger.meters import Principal
from hfchat.ledger.quota import Quota
from hfchat.types import ADMIN_SCOPE, Caller, ChatRequest


class TurnAnswers:
    """Reads the bodies of chat calls, and answers them. Used in one event loop."""

    def __init__(self, chat: Chat, ledger: Ledger, reader: BodyReader, runs: Runs) -> None:
        self._chat = chat
        self._ledger = ledger
        self._reader = reader
        self._runs = runs

    async def read_body(self, request: Request, limit: int, max_values: int, *, pictures: bool) -> bytes:
        """The body. Of one that is not small, the ledger is asked first whether there is room for it.

        A large one stays counted among those that its person is sending until its turn is reserved, or refused: until then
        no other limit holds for what it takes of memory and threads.

        Raises: as `BodyReader.read`; InvalidRequest past `max_values` JSON values; RevokedToken, RateLimitExceeded,
        BudgetExceeded, TooManyStreams, StoreUnavailable.
        """
        caller: Caller = request.state.caller
        person, headers = Principal.of(caller).key, request.headers
        checks = {}
        if not is_small(content_length(headers)):
            quota = await self._ledger.quota(caller)
            request.state.on_quota(quota)
            if "idempotency-key" not in headers:  # the answer may be there already, and costs nothing
                refuse_used_up(quota)
                checks["check_size"] = partial(refuse_too_large, quota, pictures=pictures)
        body = await self._reader.read(person, headers, request.receive, limit, **checks)
        if len(body) >= LARGE_BYTES:
            _hold(request, self._reader.hold(person, len(body)))
        await check_json(body, max_values)
        return body

    async def answer(self, request: Request, body: bytes, chat_request: ChatRequest, form: Form) -> Response:
        """The answer to a checked request that came as `body`, written in this form.

        Raises: InvalidRequest for an `Idempotency-Key` of another form; with a good one also what `authorize` does.
        """
        state = request.state
        caller: Caller = state.caller
        response = TurnResponse(
            self._chat.stream(
                caller,
                chat_request,
                request_id=state.request_id,
                on_quota=state.on_quota,
                on_attempt=lambda attempt: state.on_attempts(attempt.number),
            ),
            form,
            stream=chat_request.stream,
            language=language_of(request.headers.get("accept-language", "")),
            request_id=state.request_id,
            to_owner=ADMIN_SCOPE in caller.scopes,
        )
        key = key_of(request.headers)
        if key is None:
            return response
        authorize(caller, chat_request)
        once_try = await Try.soon(caller, request.url.path, key, body)
        return OnceResponse(response, self._ledger, self._runs, caller, once_try, state.on_quota)


def _hold(request: Request, release: Callable[[], None]) -> None:
    held: ExitStack = request.state.held
    held.callback(release)
    on_quota = request.state.on_quota

    def reserved(quota: Quota) -> None:
        held.close()
        on_quota(quota)

    request.state.on_quota = reserved
