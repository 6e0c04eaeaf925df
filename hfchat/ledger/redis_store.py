"""The ledger on Redis or Valkey: exact among all replicas that share it. Each change is one Lua script, so it is atomic.

The store must keep what it is told (`appendonly yes`, `maxmemory-policy noeviction`). One that comes back empty has
forgotten who used what and which tokens were taken back: it is no store until the program is started again.
"""

import base64
import secrets
from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any

from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from hfchat.errors import StoreUnavailable
from hfchat.ledger.meters import (
    CLOCK_STEP_S,
    KEPT_AFTER_LEASE_S,
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
PEOPLE_AT_ONCE = 200
MAX_CONNECTIONS = 64
# What uvloop says where a connection is written to that was reset; the client passes it on as it is.
_RESET = RuntimeError

# Every key, by what is given: a person's key, a reservation's or a token's id.
#   person:P       hash: issuer, subject, requests, ..._tokens, last_seen; s:METER and u:METER, a window's start and use
#   live:P         sorted set: the person's reservations by the end of their lease
#   reservation:R  hash: person, prompt, completion; w:METER, the start of the window that it is counted in
#   leases         sorted set: all reservations by the end of their lease
#   people         set: every P
#   revoked:T      until when the token is refused
#   settled:R      this reservation was settled before it came to be taken: it is not taken any more
#   answer:A       hash: body, owner, answer; it ends by itself
#   ledger, ledger:ID  which ledger this is
_COMMON = (
    f"""
local CLOCK_STEP_S, MAX_LEASE_S, MAX_ANSWER_S = {CLOCK_STEP_S}, {MAX_LEASE_S}, {MAX_ANSWER_S}
local KEPT_AFTER_LEASE_S = {KEPT_AFTER_LEASE_S}
"""
    + """
if redis.call('EXISTS', KEYS[1]) == 0 then return redis.error_reply('GONE the ledger was emptied or replaced') end
local function key(kind, name) return 'hfchat:' .. kind .. ':' .. name end
local function whole(number) return string.format('%.0f', number) end
local function latest(now) return string.format('%.6f', now + MAX_LEASE_S) end

-- Revoked or not, replies in progress, and for each meter its window's start and use. `meters`: where ARGV lists them, each as
-- key, the start of the current window, limit, amount, what it counts: `t`okens or `r`equests.
local function look(person, token, now, meters)
  local till = redis.call('GET', key('revoked', token))
  local seen = {revoked = till and tonumber(till) > now and 1 or 0, start = {}, used = {}}
  seen.streams = redis.call('ZCOUNT', key('live', person), '(' .. ARGV[1], latest(now))
  for at = meters, #ARGV, 5 do
    local found = redis.call('HMGET', key('person', person), 's:' .. ARGV[at], 'u:' .. ARGV[at])
    local start, current = tonumber(found[1] or '-1'), tonumber(ARGV[at + 1])
    if start >= current then
      table.insert(seen.start, start > now + CLOCK_STEP_S and current or start)
      table.insert(seen.used, tonumber(found[2]))
    else
      table.insert(seen.start, current)
      table.insert(seen.used, 0)
    end
  end
  return seen
end

local function told(seen, refused, held)
  local said = {seen.revoked, refused, whole(held), seen.streams}
  for place, start in ipairs(seen.start) do
    table.insert(said, whole(start))
    table.insert(said, whole(seen.used[place]))
  end
  return said
end

local function count(person, meter, start, used)
  redis.call('HSET', key('person', person), 's:' .. meter, whole(start), 'u:' .. meter, whole(used))
end

-- The tokens of a person's reservations whose lease ends in this range: prompt, completion.
local function reserved(person, from, to)
  local prompt, completion = 0, 0
  for _, id in ipairs(redis.call('ZRANGEBYSCORE', key('live', person), from, to)) do
    local found = redis.call('HMGET', key('reservation', id), 'prompt', 'completion')
    prompt, completion = prompt + tonumber(found[1] or '0'), completion + tonumber(found[2] or '0')
  end
  return prompt, completion
end

local function spend(person, prompt, completion, estimated)
  redis.call('HINCRBY', key('person', person), 'prompt_tokens', prompt)
  redis.call('HINCRBY', key('person', person), 'completion_tokens', completion)
  redis.call('HINCRBY', key('person', person), 'estimated_tokens', estimated)
end

local function forget(person, id)
  redis.call('DEL', key('reservation', id))
  redis.call('ZREM', key('live', person), id)
  redis.call('ZREM', 'hfchat:leases', id)
end
"""
)
# ARGV: now, person, token; meters
_LOOK = "return told(look(ARGV[2], ARGV[3], tonumber(ARGV[1]), 4), -1, 0)"
# ARGV: now, person, token, id, end of the lease, prompt, completion, streams or -1, issuer, subject; meters
_RESERVE = """
local now, person, id, meters = tonumber(ARGV[1]), ARGV[2], ARGV[4], 11
local seen = look(person, ARGV[3], now, meters)
-- Asked again, because the connection broke before the answer came, it is not taken twice; and it was taken, whatever was
-- taken back since.
if redis.call('EXISTS', key('reservation', id)) == 1 then
  seen.revoked = 0
  return told(seen, -1, 0)
end
if seen.revoked == 1 or redis.call('EXISTS', key('settled', id)) == 1 then return told(seen, -1, 0) end
local refused, streams = -1, tonumber(ARGV[8])
for at = meters, #ARGV, 5 do
  local place = (at - meters) / 5
  if seen.used[place + 1] + tonumber(ARGV[at + 3]) > tonumber(ARGV[at + 2]) then refused = place break end
end
if refused == -1 and streams >= 0 and seen.streams >= streams then refused = #seen.used end
if refused >= 0 then
  local by_rate = ARGV[meters + 5 * refused + 4] == 'r'
  for at = meters, #ARGV, 5 do
    local place = (at - meters) / 5 + 1
    if not by_rate and ARGV[at + 4] == 'r' then
      seen.used[place] = seen.used[place] + tonumber(ARGV[at + 3])
    end
    count(person, ARGV[at], seen.start[place], seen.used[place])
  end
  local prompt, completion = reserved(person, '(' .. ARGV[1], latest(now))
  return told(seen, refused, prompt + completion)
end
redis.call('HSET', key('reservation', id), 'person', person, 'prompt', ARGV[6], 'completion', ARGV[7])
for at = meters, #ARGV, 5 do
  local place, meter = (at - meters) / 5 + 1, ARGV[at]
  seen.used[place] = seen.used[place] + tonumber(ARGV[at + 3])
  count(person, meter, seen.start[place], seen.used[place])
  if ARGV[at + 4] == 't' then redis.call('HSET', key('reservation', id), 'w:' .. meter, whole(seen.start[place])) end
end
redis.call('ZADD', key('live', person), ARGV[5], id)
redis.call('ZADD', 'hfchat:leases', ARGV[5], id)
redis.call('SADD', 'hfchat:people', person)
redis.call('HSET', key('person', person), 'issuer', ARGV[9], 'subject', ARGV[10])
redis.call('HINCRBY', key('person', person), 'requests', 1)
local last_seen = tonumber(redis.call('HGET', key('person', person), 'last_seen') or '0')
if last_seen < now or last_seen > now + CLOCK_STEP_S then
  redis.call('HSET', key('person', person), 'last_seen', ARGV[1])
end
seen.streams = seen.streams + 1
return told(seen, -1, 0)
"""
# ARGV: now, person, token, id, prompt, completion, estimated; meters
_SETTLE = """
local person, id = ARGV[2], ARGV[4]
local fields = redis.call('HGETALL', key('reservation', id))
if #fields > 0 then
  local had = {}
  for at = 1, #fields, 2 do had[fields[at]] = fields[at + 1] end
  local more = tonumber(ARGV[5]) + tonumber(ARGV[6]) - tonumber(had.prompt) - tonumber(had.completion)
  for field, start in pairs(had) do
    -- Where the window has passed, what was used in it is nobody's limit any more.
    local meter = string.match(field, '^w:(.*)$')
    if meter and redis.call('HGET', key('person', person), 's:' .. meter) == start then
      redis.call('HINCRBY', key('person', person), 'u:' .. meter, whole(more))
    end
  end
  spend(person, ARGV[5], ARGV[6], ARGV[7])
  forget(person, id)
end
redis.call('SET', key('settled', id), 1, 'EX', 300)
return told(look(person, ARGV[3], tonumber(ARGV[1]), 8), -1, 0)
"""
# ARGV: now, end of the lease; ids. A lease is never shortened, but where a clock that ran ahead wrote it.
_RENEW = """
local now = tonumber(ARGV[1])
for at = 3, #ARGV do
  local id = ARGV[at]
  local person = redis.call('HGET', key('reservation', id), 'person')
  if person then
    local ends = tonumber(redis.call('ZSCORE', key('live', person), id) or '0')
    if ends < tonumber(ARGV[2]) or ends > now + MAX_LEASE_S then
      redis.call('ZADD', key('live', person), ARGV[2], id)
      redis.call('ZADD', 'hfchat:leases', ARGV[2], id)
    end
  end
end
local function tidy(from, to)
  for _, id in ipairs(redis.call('ZRANGEBYSCORE', 'hfchat:leases', from, to, 'LIMIT', 0, 1000)) do
    local had = redis.call('HMGET', key('reservation', id), 'person', 'prompt', 'completion')
    if had[1] then
      spend(had[1], had[2], had[3], whole(tonumber(had[2]) + tonumber(had[3])))
      forget(had[1], id)
    else
      redis.call('ZREM', 'hfchat:leases', id)
    end
  end
end
tidy('-inf', string.format('%.6f', now - KEPT_AFTER_LEASE_S))
tidy('(' .. latest(now + KEPT_AFTER_LEASE_S), '+inf')
"""
# ARGV: now, person. What lapsed, its lease ended and never settled, is spent in full and by estimate.
_ACCOUNT = """
local names = {'requests', 'prompt_tokens', 'completion_tokens', 'estimated_tokens'}
local had = redis.call('HMGET', key('person', ARGV[2]), unpack(names))
local prompt, completion = reserved(ARGV[2], '-inf', ARGV[1])
local ahead_prompt, ahead_completion = reserved(ARGV[2], '(' .. latest(tonumber(ARGV[1])), '+inf')
prompt, completion = prompt + ahead_prompt, completion + ahead_completion
local held_prompt, held_completion = reserved(ARGV[2], '(' .. ARGV[1], latest(tonumber(ARGV[1])))
local function sum(text, more) return whole(tonumber(text or '0') + more) end
return {redis.call('HGET', key('person', ARGV[2]), 'issuer'), redis.call('HGET', key('person', ARGV[2]), 'subject'),
  sum(had[1], 0), sum(had[2], prompt), sum(had[3], completion), sum(had[4], prompt + completion),
  whole(held_prompt + held_completion), redis.call('HGET', key('person', ARGV[2]), 'last_seen')}
"""


# It ends by the server's clock, and not later than any answer does: the replica's may run ahead. In milliseconds.
_EXPIRE = """
local function expire(name, ends_ms)
  local time = redis.call('TIME')
  redis.call('PEXPIREAT', name, whole(math.min(tonumber(ends_ms), (time[1] + MAX_ANSWER_S) * 1000)))
end
"""
# ARGV: name, body, owner, end in milliseconds.
_CLAIM = """
local name = key('answer', ARGV[1])
local known = redis.call('HMGET', name, 'body', 'owner', 'answer')
if not known[1] then
  redis.call('HSET', name, 'body', ARGV[2], 'owner', ARGV[3])
  expire(name, ARGV[4])
  return {0, 0, ''}
end
return {(not known[3] and known[2] ~= ARGV[3]) and 1 or 0, known[1] ~= ARGV[2] and 1 or 0, known[3] or ''}
"""
# ARGV: name, owner, end in milliseconds or nothing to release it, answer or nothing.
_KEEP = """
local name = key('answer', ARGV[1])
local known = redis.call('HMGET', name, 'owner', 'answer')
if known[1] ~= ARGV[2] or known[2] then return end
if ARGV[3] == '' then redis.call('DEL', name) return end
if ARGV[4] ~= '' then redis.call('HSET', name, 'answer', ARGV[4]) end
expire(name, ARGV[3])
"""


class RedisStore:
    """A ledger at a Redis URL. Used in one event loop."""

    in_order = False  # each request has a connection of its own

    def __init__(self, url: str) -> None:
        pool = BlockingConnectionPool.from_url(
            url,
            max_connections=MAX_CONNECTIONS,
            timeout=None,  # whoever asks has a limit of their own
            socket_timeout=SOCKET_TIMEOUT_S,
            socket_connect_timeout=SOCKET_TIMEOUT_S,
            decode_responses=True,
            # Once: a connection that the store closed while it was idle is no reason to refuse.
            retry=Retry(NoBackoff(), 1),
            retry_on_error=[_RESET],
        )
        self._redis: Any = Redis(connection_pool=pool)
        self._look, self._reserve, self._settle, self._renew, self._account, self._claim, self._keep = (
            self._redis.register_script(_COMMON + script)
            for script in (_LOOK, _RESERVE, _SETTLE, _RENEW, _ACCOUNT, _EXPIRE + _CLAIM, _EXPIRE + _KEEP)
        )
        self._marker: str | None = None

    async def reserve(self, reservation: Reservation, *, now: float, lease_ends: float) -> Counters:
        """Take all or nothing."""
        principal = reservation.principal
        streams = -1 if reservation.streams is None else reservation.streams
        arguments: list[Any] = [now, principal.key, reservation.token_id, reservation.id, lease_ends]
        arguments += [
            reservation.prompt_tokens,
            reservation.completion_tokens,
            streams,
            principal.issuer,
            principal.subject,
        ]
        return _counters(await self._run(self._reserve, [*arguments, *_meters(reservation.meters, now)]))

    async def settle(self, reservation: Reservation, usage: Usage, *, now: float, look: bool = True) -> Counters | None:
        """Write what was used."""
        estimated = usage.total_tokens if usage.estimated else 0
        spent = [usage.prompt_tokens, usage.completion_tokens, estimated]
        arguments: list[Any] = [now, reservation.principal.key, reservation.token_id, reservation.id, *spent]
        counters = _counters(await self._run(self._settle, [*arguments, *_meters(reservation.meters, now)]))
        return counters if look else None

    async def renew(self, reservation_ids: Sequence[str], *, now: float, lease_ends: float) -> None:
        """Keep the reservations, and tidy up."""
        await self._run(self._renew, [now, lease_ends, *reservation_ids])

    async def quota(self, principal: Principal, token_id: str, meters: Sequence[Meter], *, now: float) -> Counters:
        """What is used."""
        return _counters(await self._run(self._look, [now, principal.key, token_id, *_meters(meters, now)]))

    async def revoke(self, token_id: str, *, now: float, until: float) -> None:
        """Refuse the token from now on."""
        async with self._translated() as marker:
            known, here = await self._redis.mget([f"hfchat:revoked:{token_id}", marker])
            if here is None:
                raise StoreUnavailable
            await self._redis.set(f"hfchat:revoked:{token_id}", max(float(known or 0), until))

    async def revoked(self, token_ids: Collection[str], *, now: float) -> set[str]:
        """Those that are revoked."""
        ids = list(token_ids)
        async with self._translated() as marker:
            *untils, here = await self._redis.mget([*(f"hfchat:revoked:{token_id}" for token_id in ids), marker])
        if here is None:
            raise StoreUnavailable
        return {token_id for token_id, until in zip(ids, untils, strict=True) if until and float(until) > now}

    async def begin_once(self, name: str, body: str, owner: str, *, now: float, until: float) -> OnceState:
        """Claim an answer; when it ends is the server's to know."""
        running, other, answer = await self._run(self._claim, [name, body, owner, int(until * 1000)])
        return OnceState(bool(int(running)), bool(int(other)), base64.b64decode(answer) if answer else None)

    async def renew_once(self, name: str, owner: str, *, until: float) -> None:
        """Keep the claim."""
        await self._run(self._keep, [name, owner, int(until * 1000), ""])

    async def store_answer(self, name: str, owner: str, answer: bytes, *, until: float) -> None:
        """Keep the answer."""
        await self._run(self._keep, [name, owner, int(until * 1000), base64.b64encode(answer).decode()])

    async def end_once(self, name: str, owner: str) -> None:
        """Give it up."""
        await self._run(self._keep, [name, owner, "", ""])

    async def totals(self, subject: str | None, *, now: float) -> list[UsageTotals]:
        """All that was ever used."""
        async with self._translated() as marker:
            people = await self._redis.smembers("hfchat:people")
            if not await self._redis.exists(marker):
                raise StoreUnavailable
            wanted = [principal for principal in people if subject is None or principal.partition("\x1f")[2] == subject]
            rows: list[Any] = []
            for first in range(0, len(wanted), PEOPLE_AT_ONCE):
                async with self._redis.pipeline(transaction=False) as pipeline:
                    for principal in wanted[first : first + PEOPLE_AT_ONCE]:
                        await self._account(keys=[marker], args=[now, principal], client=pipeline)
                    rows += await pipeline.execute()
        return sorted(map(_account, rows), key=lambda account: (account.subject, account.issuer))

    async def close(self) -> None:
        """Close the connections."""
        with suppress(RedisError, OSError, TimeoutError, _RESET):
            await self._redis.aclose()
            await self._redis.connection_pool.disconnect()

    async def _run(self, script: Any, arguments: list[Any]) -> Any:
        async with self._translated() as marker:
            return await script(keys=[marker], args=arguments)

    @asynccontextmanager
    async def _translated(self) -> AsyncIterator[str]:
        """The key that says which ledger this is. What fails inside becomes StoreUnavailable."""
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
    return [
        value
        for meter in meters
        for value in (
            meter.key,
            window_start(meter.window, now),
            meter.limit,
            meter.amount,
            {TOKENS: "t", REQUESTS: "r"}[meter.name],
        )
    ]


def _account(row: list[Any]) -> UsageTotals:
    requests, prompt, completion, estimated, held = map(int, row[2:7])
    return UsageTotals(row[0], row[1], requests, prompt, completion, estimated, held, float(row[7]))


def _counters(said: list[Any]) -> Counters:
    revoked, refused, held, streams, *counts = map(int, said)
    used = tuple(zip(counts[::2], counts[1::2], strict=True))
    return Counters(used, streams, bool(revoked), None if refused < 0 else refused, held)
