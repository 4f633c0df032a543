-- KEYS: guard, tick.  ARGV: guard, tick, ms to live.
if tonumber(redis.call('HGET', KEYS[2], 'done') or -1) < tonumber(ARGV[2]) then
  redis.call('HSET', KEYS[2], 'done', ARGV[2])
  redis.call('PEXPIRE', KEYS[2], ARGV[3])
end
return 1
