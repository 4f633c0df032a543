-- KEYS: guard, parked, units, released, takes.
-- ARGV: guard, subject, unit, due (0: until it is released), the most there may be,
--       '', or begun (an action that is open: it comes back by itself, whoever else waits for an operator), or, when a
--       record is put back: released, waiting.
local subject, due, kind = ARGV[2], tonumber(ARGV[4]), ARGV[6]
local before = redis.call('ZSCORE', KEYS[2], subject)
if not before and redis.call('ZCARD', KEYS[2]) >= tonumber(ARGV[5]) then
  return redis.error_reply('FULL ' .. ARGV[5] .. ' units are parked')
end
redis.call('HSET', KEYS[3], subject, ARGV[3])
if kind == '' and before == 'inf' then
  due = 0 -- waits for an operator: a new event does not free it
end
if due == 0 then
  redis.call('ZADD', KEYS[2], '+inf', subject)
  redis.call('SREM', KEYS[4], subject)
else
  redis.call('ZADD', KEYS[2], due, subject)
end
if kind == 'released' then
  redis.call('SADD', KEYS[4], subject)
end
-- Somebody works on what was parked before: what is parked now must survive that one's unpark.
if redis.call('HEXISTS', KEYS[5], subject) == 1 then
  redis.call('HSET', KEYS[5], subject, 'anew')
end
return 1
