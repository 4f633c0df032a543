-- KEYS: guard, the bucket.
-- ARGV: guard, burst, per second, part of the burst that is left to higher lanes (0 to 1), how many at most.
-- {how many, or 0, how long until there is one (ms), the rate's factor in 1/1000}
-- GCRA: tat is the time (in microseconds) at which the bucket will be full again.
local kept = redis.call('HMGET', KEYS[2], 'tat', 'factor', 'slowed')
local factor = tonumber(kept[2] or 1)
if factor < 1 then -- AWS throttled: back to the whole rate in five minutes
  factor = math.min(1, factor + (now - tonumber(kept[3] or 0)) / 300000)
end
local now_us = time[1] * 1000000 + time[2]
local interval = 1000000 / (tonumber(ARGV[3]) * factor)
local depth = math.max(1, tonumber(ARGV[2]) * factor * (1 - tonumber(ARGV[4]))) * interval
local tat = math.max(tonumber(kept[1] or 0), now_us)
local count = math.min(tonumber(ARGV[5]), math.floor((depth - (tat - now_us)) / interval + 0.000001))
if count < 1 then
  return {0, math.ceil((tat + interval - depth - now_us) / 1000), math.floor(factor * 1000)}
end
redis.call('HSET', KEYS[2], 'tat', string.format('%.0f', tat + count * interval))
redis.call('PEXPIRE', KEYS[2], 600000)
return {count, 0, math.floor(factor * 1000)}
