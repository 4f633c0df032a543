-- Puts a breaker's state back as it was.
-- KEYS: guard, breakers, state, window.  ARGV: guard, scope, state ('': none), by, reason, opened, limit, window in ms.
if ARGV[3] == '' then
  redis.call('DEL', KEYS[3])
  redis.call('ZREM', KEYS[2], ARGV[2])
  return 0
end
redis.call('HSET', KEYS[3], 'state', ARGV[3], 'by', ARGV[4], 'reason', ARGV[5], 'opened', ARGV[6], 'limit', ARGV[7],
  'window_ms', ARGV[8])
redis.call('ZADD', KEYS[2], now, ARGV[2])
if ARGV[3] == 'closed' then
  redis.call('PEXPIRE', KEYS[3], 86400000)
else
  redis.call('PERSIST', KEYS[3])
end
return 1
