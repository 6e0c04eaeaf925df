"""The body of a chat call at the API's two doors: read within what the caller has left, and checked before it is parsed."""

from collections.abc import Callable
from contextlib import ExitStack
from functools import partial

from starlette.requests import Request

from hfchat.chat.early_refusal import refuse_too_large, refuse_used_up, small
from hfchat.http.body import BodyReader, content_length
from hfchat.http.in_thread import LARGE_BYTES
from hfchat.http.json_bounds import check_json
from hfchat.ledger.ledger import Ledger
from hfchat.ledger.store import Principal, Quota
from hfchat.types import Caller


class TurnBodies:
    """Reads the bodies of chat calls. Used in one event loop."""

    def __init__(self, ledger: Ledger, reader: BodyReader) -> None:
        self._ledger = ledger
        self._reader = reader

    async def read(self, request: Request, limit: int, max_values: int, *, pictures: bool) -> bytes:
        """The body. Of one that is not small, the ledger is asked first whether there is room for it.

        A large one stays counted among those that its person is sending until its turn is reserved, or refused: until then
        no other limit holds for what it takes of memory and threads.

        Raises: as `BodyReader.read`; InvalidRequest past `max_values` JSON values; RevokedToken, RateLimitExceeded,
        BudgetExceeded, TooManyStreams, StoreUnavailable.
        """
        caller: Caller = request.state.caller
        person, headers = Principal.of(caller).key, request.headers
        if small(content_length(headers)):
            body = await self._reader.read(person, headers, request.receive, limit)
        else:
            quota = await self._ledger.quota(caller)
            request.state.on_quota(quota)
            checks = {}
            if "idempotency-key" not in headers:  # the answer may be there already, and costs nothing
                refuse_used_up(quota)
                checks["check_size"] = partial(refuse_too_large, quota, pictures=pictures)
            body = await self._reader.read(person, headers, request.receive, limit, **checks)
        if len(body) >= LARGE_BYTES:
            _hold(request, self._reader.hold(person, len(body)))
        await check_json(body, max_values)
        return body


def _hold(request: Request, release: Callable[[], None]) -> None:
    held: ExitStack = request.state.held
    held.callback(release)
    on_quota = request.state.on_quota

    def reserved(quota: Quota) -> None:
        held.close()
        on_quota(quota)

    request.state.on_quota = reserved
