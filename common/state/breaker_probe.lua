-- KEYS: guard, breakers, state.  ARGV: guard, scope, probes, cooldown in ms (-1: whatever was before), by.
-- 1: it is half-open by this call.
local before = redis.call('HMGET', KEYS[3], 'state', 'by', 'opened', 'window_ms')
local cooldown = tonumber(ARGV[4])
if before[1] ~= 'open' and before[1] ~= 'held' and (before[1] ~= 'half-open' or cooldown >= 0) then
  return 0
end
if cooldown >= 0 then
  local own = before[2] == 'limit' or before[2] == 'failures' or before[2] == 'probe'
  if before[2] == 'limit' then -- the window that was full has rolled on: its limit holds for probes, too
    cooldown = math.max(cooldown, tonumber(before[4] or 0))
  end
  if before[1] ~= 'open' or not own or tonumber(before[3] or now) > now - cooldown then
    return 0
  end
end
for _, field in ipairs(redis.call('HKEYS', KEYS[3])) do
  if string.sub(field, 1, 6) == 'probe:' then
    redis.call('HDEL', KEYS[3], field)
  end
end
redis.call('HSET', KEYS[3], 'state', 'half-open', 'probes', ARGV[3], 'by', ARGV[5], 'reason', ARGV[3] .. ' probes')
redis.call('PERSIST', KEYS[3])
redis.call('ZADD', KEYS[2], now, ARGV[2])
return 1
