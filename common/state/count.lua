-- KEYS: guard, counters.  ARGV: guard, name, by, the most names there may be.
if redis.call('HLEN', KEYS[2]) >= tonumber(ARGV[4]) and redis.call('HEXISTS', KEYS[2], ARGV[2]) == 0 then
  return redis.error_reply('FULL ' .. KEYS[2] .. ' has ' .. ARGV[4] .. ' fields')
end
redis.call('HINCRBY', KEYS[2], ARGV[2], ARGV[3])
return 1
