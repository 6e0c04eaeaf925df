-- Limits of a person, set only where they are still what they were. ARGV: subject, text before, text after or '' for none
local name = key('limits', ARGV[1])
if (redis.call('GET', name) or '') ~= ARGV[2] then return 0 end
if ARGV[3] == '' then redis.call('DEL', name) else redis.call('SET', name, ARGV[3]) end
return 1
