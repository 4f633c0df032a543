-- KEYS: guard, a hash.  ARGV: guard, the field.
return redis.call('HGET', KEYS[2], ARGV[2])
