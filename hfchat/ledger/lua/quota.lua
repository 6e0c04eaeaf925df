-- Quota: what is used of some meters. ARGV: now, person, token; meters
return reply(read_counters(ARGV[2], ARGV[3], tonumber(ARGV[1]), 4), -1, 0)
