-- The usage totals of a person. A reservation whose lease ended before it was settled counts in full, as an estimate.
-- ARGV: now, person
local person, now = ARGV[2], tonumber(ARGV[1])
local names = {'requests', 'prompt_tokens', 'completion_tokens', 'estimated_tokens'}
local totals = redis.call('HMGET', key('person', person), unpack(names))
local prompt, completion = reserved_tokens(person, '-inf', ARGV[1])
local ahead_prompt, ahead_completion = reserved_tokens(person, '(' .. latest(now), '+inf')
prompt, completion = prompt + ahead_prompt, completion + ahead_completion
local held_prompt, held_completion = reserved_tokens(person, '(' .. ARGV[1], latest(now))
local function sum(text, more) return whole(tonumber(text or '0') + more) end
return {redis.call('HGET', key('person', person), 'issuer'), redis.call('HGET', key('person', person), 'subject'),
  sum(totals[1], 0), sum(totals[2], prompt), sum(totals[3], completion), sum(totals[4], prompt + completion),
  whole(held_prompt + held_completion), redis.call('HGET', key('person', person), 'last_seen')}
