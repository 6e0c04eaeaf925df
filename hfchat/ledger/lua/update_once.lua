-- Idempotency: renews, answers or frees a key that its owner holds. ARGV: key, owner, end in milliseconds or '' to free it,
-- answer or ''
local name = key('answer', ARGV[1])
local fields = redis.call('HMGET', name, 'owner', 'answer')
if fields[1] ~= ARGV[2] or fields[2] then return end
if ARGV[3] == '' then redis.call('DEL', name) return end
if ARGV[4] ~= '' then redis.call('HSET', name, 'answer', ARGV[4]) end
expire_answer(name, ARGV[3])
