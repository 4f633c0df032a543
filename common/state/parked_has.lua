-- KEYS: guard, parked.  ARGV: guard, subject.
return redis.call('ZSCORE', KEYS[2], ARGV[2]) and 1 or 0
