-- KEYS: guard, parked, units, released, takes.  ARGV: guard, the most to take, ms to hold.
-- {subject, unit, '1' when released, …}
local answer = {}
local due = redis.call('ZRANGEBYSCORE', KEYS[2], '-inf', now, 'LIMIT', 0, ARGV[2])
for _, subject in ipairs(due) do
  local unit = redis.call('HGET', KEYS[3], subject)
  if unit then
    redis.call('ZADD', KEYS[2], now + ARGV[3], subject)
    redis.call('HSET', KEYS[5], subject, 'taken')
    answer[#answer + 1] = subject
    answer[#answer + 1] = unit
    answer[#answer + 1] = tostring(redis.call('SISMEMBER', KEYS[4], subject))
  else
    redis.call('ZREM', KEYS[2], subject) -- what it was is lost: somebody else removed it
    redis.call('SREM', KEYS[4], subject)
    redis.call('HDEL', KEYS[5], subject)
  end
end
return answer
