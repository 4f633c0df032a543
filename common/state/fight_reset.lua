-- KEYS: guard, fights, their records, rounds of the subject.  ARGV: guard, subject.  1: there was one.
redis.call('HDEL', KEYS[3], ARGV[2])
return math.max(redis.call('ZREM', KEYS[2], ARGV[2]), redis.call('DEL', KEYS[4]))
