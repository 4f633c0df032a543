-- KEYS: guard, a string.  ARGV: guard, the value, ms to live.
redis.call('SET', KEYS[2], ARGV[2], 'PX', ARGV[3])
return 1
