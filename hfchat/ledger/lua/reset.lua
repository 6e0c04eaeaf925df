-- Forgets what a person used in every window, replies in progress included; the totals stay. ARGV: person
local function delete_fields(name, pattern)
  for _, field in ipairs(redis.call('HKEYS', name)) do
    if string.match(field, pattern) then redis.call('HDEL', name, field) end
  end
end
delete_fields(key('person', ARGV[1]), '^[su]:')
-- What they reserved is counted in no window any more, so settling it gives nothing back.
for _, id in ipairs(redis.call('ZRANGE', key('live', ARGV[1]), 0, -1)) do
  delete_fields(key('reservation', id), '^w:')
end
