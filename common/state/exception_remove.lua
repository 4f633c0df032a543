-- KEYS: guard, exceptions, version, changes, expires, uses, unwarned, warning.  ARGV: guard, id.  1: it was there.
if redis.call('HDEL', KEYS[2], ARGV[2]) == 0 then
  return 0
end
-- The id stays among the changes for 30 days, so that every copy learns of the removal.
local version = redis.call('INCR', KEYS[3])
redis.call('ZADD', KEYS[4], version, ARGV[2])
redis.call('ZADD', KEYS[5], now, ARGV[2])
redis.call('HDEL', KEYS[6], ARGV[2])
redis.call('ZREM', KEYS[7], ARGV[2])
redis.call('ZREM', KEYS[8], ARGV[2])
return 1
