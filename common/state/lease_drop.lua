-- KEYS: guard, lease.  ARGV: guard, owner, token.  1: it was ours, and is free now.
local lease = redis.call('HMGET', KEYS[2], 'owner', 'token')
if lease[1] == ARGV[2] and lease[2] == ARGV[3] then
  return redis.call('DEL', KEYS[2])
end
return 0
