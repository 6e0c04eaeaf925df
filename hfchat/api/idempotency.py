"""Idempotency: a retry with the same `Idempotency-Key` gets the answer of the first try, one call and one charge.

The ledger keeps the answer for a day, sealed: the key to it is made of the caller's `Idempotency-Key` and body, which are
kept nowhere, so nobody who reads the ledger can read what was written. Only whole answers are kept. Whoever leaves ends
their call, as without a key; a retry is then a call of its own.
"""

import asyncio
import hashlib
import re
import secrets
import time
import zlib
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial

import orjson
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send

from hfchat.api.idempotency_runs import RunKey, Runs
from hfchat.api.streaming import TurnResponse
from hfchat.errors import InvalidRequest, StoreUnavailable
from hfchat.http.in_thread import in_thread
from hfchat.ledger.ledger import Ledger
from hfchat.ledger.meters import Principal
from hfchat.ledger.quota import Quota
from hfchat.types import Caller

KEPT_S = 86_400
CLAIM_S = 30.0
MAX_KEPT_BYTES = 4 * 1024 * 1024
_FORM = re.compile(r"[\x21-\x7e]{1,255}")
_REPLAYED = (b"idempotent-replayed", b"true")


def key_of(headers: Headers) -> str | None:
    """The request's key, where it has one. Raises: InvalidRequest for what is none."""
    keys = headers.getlist("idempotency-key")
    if not keys:
        return None
    if len(keys) > 1 or not _FORM.fullmatch(keys[0]):
        raise InvalidRequest("idempotency_key", param="Idempotency-Key")
    return keys[0]


@dataclass(frozen=True, slots=True)
class Try:
    """One request with a key: the names under which its answer is kept, and what opens that."""

    name: str
    body: str
    seal: bytes

    @staticmethod
    def of(caller: Caller, path: str, key: str, body: bytes) -> "Try":
        """The try of this caller with this key and body at this door."""
        person = Principal.of(caller).key.encode()
        base = hashlib.sha256(b"\0".join([b"hfchat", person, path.encode(), key.encode()])).digest()
        seal = hashlib.sha256(b"seal" + base + body).digest()
        return Try(hashlib.sha256(b"name" + base).hexdigest(), hashlib.sha256(b"body" + seal).hexdigest(), seal)

    @staticmethod
    async def soon(caller: Caller, path: str, key: str, body: bytes) -> "Try":
        """The same as `of`, without holding up the event loop."""
        return await in_thread(len(body), Try.of, caller, path, key, body)

    @property
    def run_key(self) -> RunKey:
        """Under which it runs."""
        return RunKey(self.name, self.body)

    def close(self, answer: list[tuple[str, str]], content: bytes) -> bytes:
        """The answer, sealed."""
        nonce = secrets.token_bytes(12)
        plain = zlib.compress(orjson.dumps(answer) + b"\n" + content)
        return nonce + AESGCM(self.seal).encrypt(nonce, plain, None)

    def open(self, sealed: bytes) -> tuple[list[tuple[bytes, bytes]], bytes]:
        """What `close` sealed: headers and body. Raises: StoreUnavailable where it is not that."""
        try:
            plain = zlib.decompress(AESGCM(self.seal).decrypt(sealed[:12], sealed[12:], None))
        except (InvalidTag, ValueError, zlib.error) as broken:
            raise StoreUnavailable from broken
        head, _, content = plain.partition(b"\n")
        return [(name.encode(), value.encode()) for name, value in orjson.loads(head)], content


class OnceResponse(Response):
    """The turn's answer, or the one that an earlier try of the same got."""

    def __init__(
        self,
        turn: TurnResponse,
        ledger: Ledger,
        runs: Runs,
        caller: Caller,
        once_try: Try,
        on_quota: Callable[[Quota], None],
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._turn = turn
        self._ledger = ledger
        self._runs = runs
        self._caller = caller
        self._try = once_try
        self._on_quota = on_quota
        self._clock = clock
        self._owner = ""
        self.background = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer.

        Raises: what the turn does; InvalidRequest where the key came with another body before; RevokedToken;
        TooManyStreams where too many of this person's calls wait.
        """
        claimed = await self._runs.begin_once(self._try.run_key, self._caller, self._until, partial(_left, receive))
        if claimed is None:
            return  # the caller has left
        state = claimed.state
        if state.other:
            raise InvalidRequest("idempotency_other", param="Idempotency-Key")
        if state.answer is not None:
            # A replay runs no turn, which would check whether the token is revoked.
            self._on_quota(await self._ledger.quota(self._caller))
            headers, content = await in_thread(len(state.answer), self._try.open, state.answer)
            await send({"type": "http.response.start", "status": 200, "headers": [*headers, _REPLAYED]})
            await send({"type": "http.response.body", "body": content})
            return
        self._owner = claimed.owner
        await self._run(scope, receive, send)

    def _until(self) -> float:
        return self._clock() + CLAIM_S

    async def _run(self, scope: Scope, receive: Receive, send: Send) -> None:
        recorder = _Recorder(send)
        holding = asyncio.create_task(self._hold())
        answer = None
        try:
            await self._turn(scope, receive, recorder)
        finally:
            holding.cancel()
            try:
                answer = await asyncio.shield(asyncio.ensure_future(self._end(recorder)))
            finally:
                self._runs.ended(self._try.run_key, answer)

    async def _hold(self) -> None:
        """Keep the claim while the turn runs."""
        while True:
            await asyncio.sleep(CLAIM_S / 3)
            with suppress(StoreUnavailable):
                await self._ledger.renew_once(self._try.name, self._owner, until=self._clock() + CLAIM_S)

    async def _end(self, recorder: "_Recorder") -> bytes | None:
        """The sealed answer, where it is kept."""
        # Where the store is away the claim ends by itself, and a retry is a call of its own.
        with suppress(StoreUnavailable):
            if self._turn.finished and recorder.whole and recorder.size <= MAX_KEPT_BYTES:
                sealed = await in_thread(recorder.size, self._try.close, recorder.headers, b"".join(recorder.pieces))
                await self._ledger.store_answer(self._try.name, self._owner, sealed, until=self._clock() + KEPT_S)
                return sealed
            await self._ledger.end_once(self._try.name, self._owner)
        return None


class _Recorder:
    """A `send` that remembers what it sent on."""

    def __init__(self, send: Send) -> None:
        self._send: Callable[[Message], Awaitable[None]] = send
        self.headers: list[tuple[str, str]] = []
        self.pieces: list[bytes] = []
        self.size = 0
        self.whole = False

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.headers = [(name.decode(), value.decode()) for name, value in message["headers"]]
        elif self.size <= MAX_KEPT_BYTES:
            self.size += len(message["body"])
            self.pieces.append(message["body"])
            self.whole = not message.get("more_body", False)
        await self._send(message)


async def _left(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
