"""Redis store, for Redis or Valkey: usage exact among all replicas that share it. Each change is one script of `lua/`, so atomic.

The server must be durable (`appendonly yes`, `maxmemory-policy noeviction`). One that comes back empty has lost usage and
revocations: then every call raises StoreUnavailable until the program is started again.
"""

import base64
import secrets
from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from hfchat.errors import StoreUnavailable
from hfchat.ledger.meters import (
    CLOCK_STEP_S,
    LAPSED_RETENTION_S,
    MAX_ANSWER_S,
    MAX_LEASE_S,
    REQUESTS,
    TOKENS,
    Counters,
    Meter,
    OnceState,
    Principal,
    Reservation,
    UsageTotals,
)
from hfchat.limits import window_start
from hfchat.types import Usage

SOCKET_TIMEOUT_S = 0.7
TOTALS_BATCH = 200
MAX_CONNECTIONS = 64
# What uvloop raises on writing to a connection that was reset; redis-py passes it on as it is.
_RESET = RuntimeError

# As the scripts write them.
_UNITS = {TOKENS: "t", REQUESTS: "r"}
_LUA = Path(__file__).parent / "lua"
_CONSTANTS = f"""
local CLOCK_STEP_S, MAX_LEASE_S, MAX_ANSWER_S = {CLOCK_STEP_S}, {MAX_LEASE_S}, {MAX_ANSWER_S}
local LAPSED_RETENTION_S = {LAPSED_RETENTION_S}
"""


class RedisStore:
    """A store at a Redis URL. Used in one event loop."""

    in_order = False  # each request has a connection of its own

    def __init__(self, url: str) -> None:
        pool = BlockingConnectionPool.from_url(
            url,
            max_connections=MAX_CONNECTIONS,
            timeout=None,  # the ledger has a timeout of its own
            socket_timeout=SOCKET_TIMEOUT_S,
            socket_connect_timeout=SOCKET_TIMEOUT_S,
            decode_responses=True,
            # Once: the server may have closed an idle connection.
            retry=Retry(NoBackoff(), 1),
            retry_on_error=[_RESET],
        )
        self._redis: Any = Redis(connection_pool=pool)
        common = _CONSTANTS + (_LUA / "common.lua").read_text("utf-8")
        self._scripts = {
            path.stem: self._redis.register_script(common + path.read_text("utf-8")) for path in _LUA.glob("*.lua")
        }
        self._marker: str | None = None

    async def reserve(self, reservation: Reservation, *, now: float, lease_ends: float) -> Counters:
        """Count all of it or nothing."""
        principal = reservation.principal
        streams = -1 if reservation.streams is None else reservation.streams
        tokens = reservation.prompt_tokens, reservation.completion_tokens
        args = [now, principal.key, reservation.token_id, reservation.id, lease_ends, *tokens, streams]
        args += [principal.issuer, principal.subject, reservation.limits, *_meters(reservation.meters, now)]
        return _counters(await self._run("reserve", args))

    async def settle(
        self, reservation: Reservation, usage: Usage, *, now: float, read_counters: bool = True
    ) -> Counters | None:
        """Count what was used, once."""
        estimated = usage.total_tokens if usage.estimated else 0
        args = [now, reservation.principal.key, reservation.token_id, reservation.id]
        args += [usage.prompt_tokens, usage.completion_tokens, estimated, *_meters(reservation.meters, now)]
        counters = _counters(await self._run("settle", args))
        return counters if read_counters else None

    async def renew(self, reservation_ids: Sequence[str], *, now: float, lease_ends: float) -> None:
        """Extend the leases."""
        await self._run("renew", [now, lease_ends, *reservation_ids])

    async def quota(self, principal: Principal, token_id: str, meters: Sequence[Meter], *, now: float) -> Counters:
        """What is used of these meters."""
        return _counters(await self._run("quota", [now, principal.key, token_id, *_meters(meters, now)]))

    async def revoke(self, token_id: str, *, now: float, until: float) -> None:
        """Refuse the token from now on."""
        async with self._translated() as marker:
            revoked_until, here = await self._redis.mget([f"hfchat:revoked:{token_id}", marker])
            if here is None:
                raise StoreUnavailable
            await self._redis.set(f"hfchat:revoked:{token_id}", max(float(revoked_until or 0), until))

    async def revoked(self, token_ids: Collection[str], *, now: float) -> set[str]:
        """Those of the tokens that are revoked."""
        ids = list(token_ids)
        async with self._translated() as marker:
            *untils, here = await self._redis.mget([*(f"hfchat:revoked:{token_id}" for token_id in ids), marker])
        if here is None:
            raise StoreUnavailable
        return {token_id for token_id, until in zip(ids, untils, strict=True) if until and float(until) > now}

    async def limits(self, subjects: Collection[str]) -> dict[str, str]:
        """The limits of those who have some."""
        names = list(subjects)
        async with self._translated() as marker:
            *texts, here = await self._redis.mget([*(f"hfchat:limits:{name}" for name in names), marker])
        if here is None:
            raise StoreUnavailable
        return {name: text for name, text in zip(names, texts, strict=True) if text}

    async def set_limits(self, subject: str, before: str, after: str) -> bool:
        """Set them where they are still the same."""
        return bool(int(await self._run("set_limits", [subject, before, after])))

    async def reset(self, subject: str) -> None:
        """Forget what is used."""
        async with self._translated():
            people = await self._redis.smembers("hfchat:people")
        for person in people:
            if person.partition("\x1f")[2] == subject:
                await self._run("reset", [person])

    async def begin_once(self, name: str, body: str, owner: str, *, now: float, until: float) -> OnceState:
        """Take an idempotency key; it ends by the server's clock."""
        running, other, answer = await self._run("begin_once", [name, body, owner, int(until * 1000)])
        return OnceState(bool(int(running)), bool(int(other)), base64.b64decode(answer) if answer else None)

    async def renew_once(self, name: str, owner: str, *, until: float) -> None:
        """Extend the owner's hold of the key."""
        await self._run("update_once", [name, owner, int(until * 1000), ""])

    async def store_answer(self, name: str, owner: str, answer: bytes, *, until: float) -> None:
        """Store the answer under the key."""
        await self._run("update_once", [name, owner, int(until * 1000), base64.b64encode(answer).decode()])

    async def end_once(self, name: str, owner: str) -> None:
        """Free the key."""
        await self._run("update_once", [name, owner, "", ""])

    async def store_record(self, name: str, content: bytes, *, now: float, until: float) -> None:
        """Store it under this name; it ends by the server's clock."""
        async with self._translated():
            await self._redis.set(f"hfchat:record:{name}", base64.b64encode(content).decode(), pxat=int(until * 1000))

    async def read_record(self, name: str, *, now: float) -> bytes | None:
        """What is stored under this name."""
        async with self._translated():
            content = await self._redis.get(f"hfchat:record:{name}")
        return base64.b64decode(content) if content else None

    async def delete_record(self, name: str) -> None:
        """Delete it."""
        async with self._translated():
            await self._redis.delete(f"hfchat:record:{name}")

    async def totals(self, subject: str | None, *, now: float) -> list[UsageTotals]:
        """The totals, sorted by name."""
        async with self._translated() as marker:
            people = await self._redis.smembers("hfchat:people")
            if not await self._redis.exists(marker):
                raise StoreUnavailable
            keys = [person for person in people if subject is None or person.partition("\x1f")[2] == subject]
            rows: list[Any] = []
            for first in range(0, len(keys), TOTALS_BATCH):
                async with self._redis.pipeline(transaction=False) as pipeline:
                    for person in keys[first : first + TOTALS_BATCH]:
                        await self._scripts["totals"](keys=[marker], args=[now, person], client=pipeline)
                    rows += await pipeline.execute()
        return sorted(map(_totals, rows), key=lambda totals: (totals.subject, totals.issuer))

    async def open(self) -> None:
        """Nothing: it connects on first use."""

    async def close(self) -> None:
        """Close the connections."""
        with suppress(RedisError, OSError, TimeoutError, _RESET):
            await self._redis.aclose()
            await self._redis.connection_pool.disconnect()

    async def _run(self, script: str, args: list[Any]) -> Any:
        async with self._translated() as marker:
            return await self._scripts[script](keys=[marker], args=args)

    @asynccontextmanager
    async def _translated(self) -> AsyncIterator[str]:
        """The key that identifies this database. What fails inside becomes StoreUnavailable."""
        try:
            if self._marker is None:
                await self._redis.set("hfchat:ledger", secrets.token_hex(8), nx=True)
                marker = f"hfchat:ledger:{await self._redis.get('hfchat:ledger')}"
                await self._redis.set(marker, 1)
                self._marker = marker
            yield self._marker
        except (RedisError, OSError, TimeoutError, _RESET) as failure:
            raise StoreUnavailable from failure


def _meters(meters: Sequence[Meter], now: float) -> list[Any]:
    rows = (
        (meter.key, window_start(meter.window, now), meter.limit, meter.amount, _UNITS[meter.name]) for meter in meters
    )
    return [value for row in rows for value in row]


def _totals(row: list[Any]) -> UsageTotals:
    requests, prompt, completion, estimated, held = map(int, row[2:7])
    return UsageTotals(row[0], row[1], requests, prompt, completion, estimated, held, float(row[7]))


def _counters(row: list[Any]) -> Counters:
    limits, *numbers = row
    revoked, refused, held, streams, *counts = map(int, numbers)
    used = tuple(zip(counts[::2], counts[1::2], strict=True))
    return Counters(used, streams, bool(revoked), None if refused < 0 else refused, held, limits)
