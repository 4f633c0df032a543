-- KEYS: guard, notices, notices-sending, notices-sent, all of one channel.
-- ARGV: guard, how many digests may be begun within …, … so many ms (0: no limit).
-- The key of a digest that is due, or nil.  First those that somebody took and did not finish.
local sending = redis.call('ZRANGEBYSCORE', KEYS[3], '-inf', now, 'LIMIT', 0, 1)
if sending[1] then
  return sending[1]
end
local limit = tonumber(ARGV[2])
if limit > 0 and redis.call('ZCOUNT', KEYS[4], '(' .. string.format('%.0f', now - ARGV[3]), '+inf') >= limit then
  return false
end
-- One that falls due while its predecessor is being sent waits for that.
for _, key in ipairs(redis.call('ZRANGEBYSCORE', KEYS[2], '-inf', now, 'LIMIT', 0, 1000)) do
  if not redis.call('ZSCORE', KEYS[3], key) then
    return key
  end
end
return false
