-- Shared by every script, which Python sends behind it; the constants CLOCK_STEP_S, ... of meters.py come before it.
--
-- Keys, by a person's key P, a reservation's id R, a token's id T, or an idempotency key A:
--   person:P       hash: issuer, subject, requests, ..._tokens, last_seen; s:METER and u:METER, a window's start and use
--   live:P         sorted set: the person's reservations by the end of their lease
--   reservation:R  hash: person, prompt, completion; w:METER, the start of the window that it is counted in
--   leases         sorted set: all reservations by the end of their lease
--   people         set: every P
--   revoked:T      until when the token is refused
--   limits:S       limits that the owner set for the people of the subject S, as text
--   settled:R      the reservation was settled before it was made: it is not made any more
--   answer:A       hash: body, owner, answer; with an expiry
--   ledger, ledger:ID  identifies this database
if redis.call('EXISTS', KEYS[1]) == 0 then return redis.error_reply('GONE the ledger was emptied or replaced') end
local function key(kind, name) return 'hfchat:' .. kind .. ':' .. name end
local function whole(number) return string.format('%.0f', number) end
local function latest(now) return string.format('%.6f', now + MAX_LEASE_S) end

-- Limits of the person, whether the token is revoked, replies in progress, and for each meter its window's start and use. `meters`: the index in
-- ARGV from which they are listed, each as key, start of the current window, limit, amount, unit: `t`okens or `r`equests.
local function read_counters(person, token, now, meters)
  local revoked_until = redis.call('GET', key('revoked', token))
  local counters = {revoked = revoked_until and tonumber(revoked_until) > now and 1 or 0, start = {}, used = {}}
  counters.limits = redis.call('GET', key('limits', string.match(person, '\31(.*)$'))) or ''
  counters.streams = redis.call('ZCOUNT', key('live', person), '(' .. ARGV[1], latest(now))
  for at = meters, #ARGV, 5 do
    local window = redis.call('HMGET', key('person', person), 's:' .. ARGV[at], 'u:' .. ARGV[at])
    local start, current = tonumber(window[1] or '-1'), tonumber(ARGV[at + 1])
    if start >= current then
      table.insert(counters.start, start > now + CLOCK_STEP_S and current or start)
      table.insert(counters.used, tonumber(window[2]))
    else
      table.insert(counters.start, current)
      table.insert(counters.used, 0)
    end
  end
  return counters
end

-- A list of the limits, a text, and numbers.
local function reply(counters, refused, held)
  local values = {counters.limits, counters.revoked, refused, whole(held), counters.streams}
  for index, start in ipairs(counters.start) do
    table.insert(values, whole(start))
    table.insert(values, whole(counters.used[index]))
  end
  return values
end

local function write_count(person, meter, start, used)
  redis.call('HSET', key('person', person), 's:' .. meter, whole(start), 'u:' .. meter, whole(used))
end

-- The tokens of a person's reservations whose lease ends in this range: prompt, completion.
local function reserved_tokens(person, from, to)
  local prompt, completion = 0, 0
  for _, id in ipairs(redis.call('ZRANGEBYSCORE', key('live', person), from, to)) do
    local tokens = redis.call('HMGET', key('reservation', id), 'prompt', 'completion')
    prompt, completion = prompt + tonumber(tokens[1] or '0'), completion + tonumber(tokens[2] or '0')
  end
  return prompt, completion
end

local function add_to_totals(person, prompt, completion, estimated)
  redis.call('HINCRBY', key('person', person), 'prompt_tokens', prompt)
  redis.call('HINCRBY', key('person', person), 'completion_tokens', completion)
  redis.call('HINCRBY', key('person', person), 'estimated_tokens', estimated)
end

local function delete_reservation(person, id)
  redis.call('DEL', key('reservation', id))
  redis.call('ZREM', key('live', person), id)
  redis.call('ZREM', 'hfchat:leases', id)
end

-- By the server's clock, and never later than MAX_ANSWER_S from now: a replica's clock may run ahead. In milliseconds.
local function expire_answer(name, end_ms)
  local time = redis.call('TIME')
  redis.call('PEXPIREAT', name, whole(math.min(tonumber(end_ms), (time[1] + MAX_ANSWER_S) * 1000)))
end
