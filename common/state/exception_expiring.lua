-- KEYS: guard, exceptions, unwarned, warning.  ARGV: guard, ms before the end, ms to hold, the most to give.
-- The records.  unwarned: id by the time it expires; warning: id by the time until which somebody has it to warn of.
local answer = {}
local function take(id)
  local record = redis.call('HGET', KEYS[2], id)
  redis.call('ZREM', KEYS[3], id)
  if record then
    redis.call('ZADD', KEYS[4], now + ARGV[3], id)
    answer[#answer + 1] = record
  else
    redis.call('ZREM', KEYS[4], id)
  end
end
for _, id in ipairs(redis.call('ZRANGEBYSCORE', KEYS[4], '-inf', now, 'LIMIT', 0, ARGV[4])) do
  take(id)
end
for _, id in ipairs(redis.call('ZRANGEBYSCORE', KEYS[3], '-inf', now + ARGV[2], 'LIMIT', 0, ARGV[4] - #answer)) do
  take(id)
end
return answer
