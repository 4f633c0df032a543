-- KEYS: guard, intents, lease.  ARGV: guard, subject, record, the most there may be, owner, token.
-- The token is the fence: who lost the lease may not write over what its successor began.
local lease = redis.call('HMGET', KEYS[3], 'owner', 'token')
if lease[1] ~= ARGV[5] or lease[2] ~= ARGV[6] then
  return redis.error_reply('LEASE ' .. KEYS[3] .. ' is not held with this token any more')
end
if redis.call('HLEN', KEYS[2]) >= tonumber(ARGV[4]) and redis.call('HEXISTS', KEYS[2], ARGV[2]) == 0 then
  return redis.error_reply('FULL ' .. KEYS[2] .. ' has ' .. ARGV[4] .. ' fields')
end
redis.call('HSET', KEYS[2], ARGV[2], ARGV[3])
return 1
