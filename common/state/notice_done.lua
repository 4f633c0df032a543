-- KEYS: guard, notices-sending, sending, sending-notices.  ARGV: guard, key.
redis.call('ZREM', KEYS[2], ARGV[2])
redis.call('DEL', KEYS[3], KEYS[4])
return 1
