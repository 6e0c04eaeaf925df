-- Idempotency: takes a key for its owner, or returns its state. ARGV: key, body, owner, end in milliseconds
local name = key('answer', ARGV[1])
local fields = redis.call('HMGET', name, 'body', 'owner', 'answer')
local body, owner, answer = fields[1], fields[2], fields[3]
if not body then
  redis.call('HSET', name, 'body', ARGV[2], 'owner', ARGV[3])
  expire_answer(name, ARGV[4])
  return {0, 0, ''}
end
return {(not answer and owner ~= ARGV[3]) and 1 or 0, body ~= ARGV[2] and 1 or 0, answer or ''}
