-- KEYS: guard, parked, units, released, takes.  ARGV: guard, subject, 1: whatever happened since it was taken.
-- Parked anew, or asked for, since it was taken: it stays, since what was done may have been too early to see why.
local since = ARGV[3] ~= '1' and redis.call('HGET', KEYS[5], ARGV[2])
if since == 'anew' or since == 'asked' then
  if since == 'asked' then
    redis.call('ZADD', KEYS[2], 'XX', now, ARGV[2])
  end
  redis.call('HDEL', KEYS[5], ARGV[2])
  redis.call('SREM', KEYS[4], ARGV[2]) -- what the release paid for is done
  return 0
end
redis.call('HDEL', KEYS[3], ARGV[2])
redis.call('SREM', KEYS[4], ARGV[2])
redis.call('HDEL', KEYS[5], ARGV[2])
return redis.call('ZREM', KEYS[2], ARGV[2])
