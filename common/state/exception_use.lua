-- KEYS: guard, exceptions, uses.  ARGV: guard, id.
if redis.call('HEXISTS', KEYS[2], ARGV[2]) == 1 then
  redis.call('HINCRBY', KEYS[3], ARGV[2], 1)
end
return 1
