-- KEYS: guard, breakers, state, window.  ARGV: guard, scope, the new state, by, reason.
redis.call('HSET', KEYS[3], 'state', ARGV[3], 'opened', now, 'by', ARGV[4], 'reason', ARGV[5])
redis.call('ZADD', KEYS[2], now, ARGV[2])
if ARGV[3] == 'closed' then
  redis.call('DEL', KEYS[4])
  redis.call('HSET', KEYS[3], 'opened', 0)
  redis.call('PEXPIRE', KEYS[3], 86400000)
else
  redis.call('PERSIST', KEYS[3])
end
return 1
