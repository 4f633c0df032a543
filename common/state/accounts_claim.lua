-- KEYS: guard, accounts:list.  ARGV: guard, owner, ms between two lists, ms when there is a hurry, ms to claim it.
-- 1: list them (or: go on, the claim is prolonged).
local known = redis.call('HMGET', KEYS[2], 'owner', 'until', 'tried', 'time', 'asked')
local held = tonumber(known[2] or 0) > now
local tried, time, asked = tonumber(known[3] or 0), tonumber(known[4] or 0), tonumber(known[5] or 0)
if held and known[1] ~= ARGV[2] then
  return 0
end
if not held then
  local hurry = asked > tried or tried > time
  if now - tried < tonumber(ARGV[hurry and 4 or 3]) then
    return 0
  end
  redis.call('HSET', KEYS[2], 'owner', ARGV[2], 'tried', now)
end
redis.call('HSET', KEYS[2], 'until', now + ARGV[5])
return 1
