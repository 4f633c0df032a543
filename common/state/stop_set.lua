-- KEYS: guard, stop.  ARGV: guard, record.
-- Deleting first is what lets this through when Redis' memory is full: a stop must always be possible.
redis.call('DEL', KEYS[2])
redis.call('SET', KEYS[2], ARGV[2])
return 1
