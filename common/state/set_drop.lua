-- KEYS: guard, a sorted set.  ARGV: guard, the member.  1: it was there.
return redis.call('ZREM', KEYS[2], ARGV[2])
