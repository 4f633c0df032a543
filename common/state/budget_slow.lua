-- AWS throttled: the bucket's rate halves, at most once a second, to a sixteenth at least.
-- KEYS: guard, the bucket.  The new factor in 1/1000.
local kept = redis.call('HMGET', KEYS[2], 'factor', 'slowed')
local factor, slowed = tonumber(kept[1] or 1), tonumber(kept[2] or 0)
if now - slowed >= 1000 then
  factor = math.max(1 / 16, math.min(1, factor + (now - slowed) / 300000) / 2)
  redis.call('HSET', KEYS[2], 'factor', string.format('%.6f', factor), 'slowed', now)
  redis.call('PEXPIRE', KEYS[2], 600000)
end
return math.floor(factor * 1000)
