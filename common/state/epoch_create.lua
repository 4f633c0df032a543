-- KEYS: epoch, rebuild, since.  ARGV: my token, the new epoch.  Ends the rebuild.
if redis.call('GET', KEYS[2]) ~= ARGV[1] or redis.call('EXISTS', KEYS[1]) == 1 then
  return redis.error_reply('EPOCH the rebuild lock was lost: join again')
end
local time = redis.call('TIME')
redis.call('SET', KEYS[3], time[1] * 1000 + math.floor(time[2] / 1000))
redis.call('SET', KEYS[1], ARGV[2])
redis.call('DEL', KEYS[2])
return 1
