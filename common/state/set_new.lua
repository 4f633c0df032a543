-- KEYS: guard, a string.  ARGV: guard, the value, ms to live.  1: set, 0: it was there.
if redis.call('SET', KEYS[2], ARGV[2], 'PX', ARGV[3], 'NX') then
  return 1
end
return 0
