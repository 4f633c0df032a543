-- KEYS: guard, exceptions, version, changes, expires, uses, unwarned, warning.
-- ARGV: guard, id, record, expires (ms), the most there may be.
if redis.call('HLEN', KEYS[2]) >= tonumber(ARGV[5]) and redis.call('HEXISTS', KEYS[2], ARGV[2]) == 0 then
  return redis.error_reply('FULL there are ' .. ARGV[5] .. ' exceptions')
end
local version = redis.call('INCR', KEYS[3])
redis.call('HSET', KEYS[2], ARGV[2], ARGV[3])
redis.call('ZADD', KEYS[4], version, ARGV[2])
redis.call('ZADD', KEYS[5], ARGV[4], ARGV[2])
redis.call('ZADD', KEYS[7], ARGV[4], ARGV[2]) -- renewed, perhaps: its new end is another to warn of
redis.call('ZREM', KEYS[8], ARGV[2])

-- Those that expired 30 days ago go, some at a time.
local old = redis.call('ZRANGEBYSCORE', KEYS[5], '-inf', now - 30 * 86400000, 'LIMIT', 0, 100)
for _, id in ipairs(old) do
  redis.call('HDEL', KEYS[2], id)
  redis.call('ZREM', KEYS[4], id)
  redis.call('ZREM', KEYS[5], id)
  redis.call('HDEL', KEYS[6], id)
  redis.call('ZREM', KEYS[7], id)
  redis.call('ZREM', KEYS[8], id)
end
return version
