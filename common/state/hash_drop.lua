-- KEYS: guard, a hash.  ARGV: guard, the field.  1: it was there.
return redis.call('HDEL', KEYS[2], ARGV[2])
