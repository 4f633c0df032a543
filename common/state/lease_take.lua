-- KEYS: guard, lease, leases:token.  ARGV: guard, owner, ms to live.  The token, or 0: somebody has it.
if redis.call('EXISTS', KEYS[2]) == 1 then
  return 0
end
-- Greater than every earlier one, also than those of a Redis that was emptied since: at least the time in microseconds.
local token = math.max(tonumber(redis.call('GET', KEYS[3]) or 0) + 1, time[1] * 1000000 + time[2])
local text = string.format('%.0f', token)
redis.call('SET', KEYS[3], text)
redis.call('HSET', KEYS[2], 'owner', ARGV[2], 'token', text, 'since', now)
redis.call('PEXPIRE', KEYS[2], ARGV[3])
return token
