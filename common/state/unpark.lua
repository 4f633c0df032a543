-- KEYS: guard, parked, units, released, takes.  ARGV: guard, subject, 1: whatever happened since it was taken.
if ARGV[3] ~= '1' and redis.call('HGET', KEYS[5], ARGV[2]) == 'anew' then
  redis.call('HDEL', KEYS[5], ARGV[2]) -- parked anew since it was taken: that one stays
  return 0
end
redis.call('HDEL', KEYS[3], ARGV[2])
redis.call('SREM', KEYS[4], ARGV[2])
redis.call('HDEL', KEYS[5], ARGV[2])
return redis.call('ZREM', KEYS[2], ARGV[2])
