-- Settlement of a reservation, once. ARGV: now, person, token, id, prompt, completion, estimated; meters
local person, id = ARGV[2], ARGV[4]
local fields = redis.call('HGETALL', key('reservation', id))
if #fields > 0 then
  local reservation = {}
  for at = 1, #fields, 2 do reservation[fields[at]] = fields[at + 1] end
  local difference = tonumber(ARGV[5]) + tonumber(ARGV[6]) - tonumber(reservation.prompt) - tonumber(reservation.completion)
  for field, start in pairs(reservation) do
    -- A window that has ended limits nobody any more.
    local meter = string.match(field, '^w:(.*)$')
    if meter and redis.call('HGET', key('person', person), 's:' .. meter) == start then
      redis.call('HINCRBY', key('person', person), 'u:' .. meter, whole(difference))
    end
  end
  add_to_totals(person, ARGV[5], ARGV[6], ARGV[7])
  delete_reservation(person, id)
end
redis.call('SET', key('settled', id), 1, 'EX', 300)
return reply(read_counters(person, ARGV[3], tonumber(ARGV[1]), 8), -1, 0)
