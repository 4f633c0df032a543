-- KEYS: guard, parked, units, released, takes.  ARGV: guard, subject.  1: it is parked.
-- Whoever asks leaves its own work to the parked unit.  Somebody who works on that one may have looked before: its
-- unpark must not be the end of it.
if not redis.call('ZSCORE', KEYS[2], ARGV[2]) then
  return 0
end
if redis.call('HGET', KEYS[5], ARGV[2]) == 'taken' then
  redis.call('HSET', KEYS[5], ARGV[2], 'asked')
end
return 1
