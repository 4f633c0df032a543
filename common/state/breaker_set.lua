-- KEYS: guard, breakers, state, window, outcomes.  ARGV: guard, scope, the new state, by, reason.
for _, field in ipairs(redis.call('HKEYS', KEYS[3])) do
  if string.sub(field, 1, 6) == 'probe:' or field == 'probes' then
    redis.call('HDEL', KEYS[3], field)
  end
end
redis.call('HSET', KEYS[3], 'state', ARGV[3], 'opened', now, 'by', ARGV[4], 'reason', ARGV[5])
redis.call('ZADD', KEYS[2], now, ARGV[2])
if ARGV[3] == 'closed' then
  redis.call('DEL', KEYS[4], KEYS[5])
  redis.call('HSET', KEYS[3], 'opened', 0)
  redis.call('PEXPIRE', KEYS[3], 86400000)
else
  redis.call('PERSIST', KEYS[3])
end
return 1
