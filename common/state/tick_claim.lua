-- KEYS: guard, tick.  ARGV: guard, tick, ms to claim it, owner, ms to live.  1: emit it.
local tick = tonumber(ARGV[2])
local known = redis.call('HMGET', KEYS[2], 'done', 'claimed', 'until')
local done, claimed, till = tonumber(known[1] or -1), tonumber(known[2] or -1), tonumber(known[3] or 0)
if done >= tick or claimed > tick or (claimed == tick and till > now) then
  return 0
end
redis.call('HSET', KEYS[2], 'claimed', ARGV[2], 'until', now + ARGV[3], 'owner', ARGV[4])
redis.call('PEXPIRE', KEYS[2], ARGV[5])
return 1
