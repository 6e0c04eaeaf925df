-- Renewal of leases, and the end of reservations that were never settled. ARGV: now, end of the lease; ids. A lease is never
-- shortened, except one that a clock that ran ahead wrote.
local now = tonumber(ARGV[1])
for at = 3, #ARGV do
  local id = ARGV[at]
  local person = redis.call('HGET', key('reservation', id), 'person')
  if person then
    local lease_ends = tonumber(redis.call('ZSCORE', key('live', person), id) or '0')
    if lease_ends < tonumber(ARGV[2]) or lease_ends > now + MAX_LEASE_S then
      redis.call('ZADD', key('live', person), ARGV[2], id)
      redis.call('ZADD', 'hfchat:leases', ARGV[2], id)
    end
  end
end
local function settle_lapsed(from, to)
  for _, id in ipairs(redis.call('ZRANGEBYSCORE', 'hfchat:leases', from, to, 'LIMIT', 0, 1000)) do
    local fields = redis.call('HMGET', key('reservation', id), 'person', 'prompt', 'completion')
    local person, prompt, completion = fields[1], fields[2], fields[3]
    if person then
      add_to_totals(person, prompt, completion, whole(tonumber(prompt) + tonumber(completion)))
      delete_reservation(person, id)
    else
      redis.call('ZREM', 'hfchat:leases', id)
    end
  end
end
settle_lapsed('-inf', string.format('%.6f', now - LAPSED_RETENTION_S))
settle_lapsed('(' .. latest(now + LAPSED_RETENTION_S), '+inf')
