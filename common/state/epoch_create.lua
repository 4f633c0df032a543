-- KEYS: epoch, rebuild, since.  ARGV: my token, the new epoch's name, the server that was rebuilt, the server that runs
-- this.  Ends the rebuild: {1, epoch}.
if redis.call('GET', KEYS[2]) ~= ARGV[1] or redis.call('EXISTS', KEYS[1]) == 1 or ARGV[3] ~= ARGV[4] then
  return redis.error_reply('EPOCH the rebuild lock was lost: join again')
end
local time = redis.call('TIME')
redis.call('SET', KEYS[3], time[1] * 1000 + math.floor(time[2] / 1000))
local epoch = ARGV[2] .. '@' .. ARGV[4]
redis.call('SET', KEYS[1], epoch)
redis.call('DEL', KEYS[2])
return {1, epoch}
