-- KEYS: guard, command, since.  ARGV: guard, record, ms to live, when it was made (wall ms).
-- 1: begun, 0: it was there, 2: it is older than what Redis remembers, so nobody knows whether it was there.
if tonumber(ARGV[4]) < tonumber(redis.call('GET', KEYS[3]) or '0') then
  return 2
end
return redis.call('SET', KEYS[2], ARGV[2], 'PX', ARGV[3], 'NX') and 1 or 0
