-- Reservation: all of it or nothing. ARGV: now, person, token, id, end of the lease, prompt, completion, limit of replies in
-- progress or -1, issuer, subject, limits of the person that the meters were made of; meters
local now, person, id, meters = tonumber(ARGV[1]), ARGV[2], ARGV[4], 12
local counters = read_counters(person, ARGV[3], now, meters)
-- A retry, because the connection broke before the answer, does not count it twice. The first try succeeded, even if the
-- token was revoked or the person's limits changed since.
if redis.call('EXISTS', key('reservation', id)) == 1 then
  counters.revoked, counters.limits = 0, ARGV[11]
  return reply(counters, -1, 0)
end
if counters.revoked == 1 or counters.limits ~= ARGV[11] or redis.call('EXISTS', key('settled', id)) == 1 then return reply(counters, -1, 0) end
local refused, streams = -1, tonumber(ARGV[8])
for at = meters, #ARGV, 5 do
  local index = (at - meters) / 5
  if counters.used[index + 1] + tonumber(ARGV[at + 3]) > tonumber(ARGV[at + 2]) then refused = index break end
end
if refused == -1 and streams >= 0 and counters.streams >= streams then refused = #counters.used end
if refused >= 0 then
  local by_rate = ARGV[meters + 5 * refused + 4] == 'r'
  for at = meters, #ARGV, 5 do
    local index = (at - meters) / 5 + 1
    if not by_rate and ARGV[at + 4] == 'r' then
      counters.used[index] = counters.used[index] + tonumber(ARGV[at + 3])
    end
    write_count(person, ARGV[at], counters.start[index], counters.used[index])
  end
  local prompt, completion = reserved_tokens(person, '(' .. ARGV[1], latest(now))
  return reply(counters, refused, prompt + completion)
end
redis.call('HSET', key('reservation', id), 'person', person, 'prompt', ARGV[6], 'completion', ARGV[7])
for at = meters, #ARGV, 5 do
  local index, meter = (at - meters) / 5 + 1, ARGV[at]
  counters.used[index] = counters.used[index] + tonumber(ARGV[at + 3])
  write_count(person, meter, counters.start[index], counters.used[index])
  if ARGV[at + 4] == 't' then
    redis.call('HSET', key('reservation', id), 'w:' .. meter, whole(counters.start[index]))
  end
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
counters.streams = counters.streams + 1
return reply(counters, -1, 0)
