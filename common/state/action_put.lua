-- KEYS: guard, actions (by the time they were first written), records, images.
-- ARGV: guard, id, record, images ('': those that are there), the most there may be.
local function forget(id)
  redis.call('ZREM', KEYS[2], id)
  redis.call('HDEL', KEYS[3], id)
  redis.call('HDEL', KEYS[4], id)
end

redis.call('ZADD', KEYS[2], 'NX', now, ARGV[2])
redis.call('HSET', KEYS[3], ARGV[2], ARGV[3])
if ARGV[4] ~= '' then
  redis.call('HSET', KEYS[4], ARGV[2], ARGV[4])
end

-- Those of more than 30 days ago go, some at a time; and beyond the ceiling the oldest.
local old = redis.call('ZRANGEBYSCORE', KEYS[2], '-inf', now - 30 * 86400000, 'LIMIT', 0, 20)
if redis.call('ZCARD', KEYS[2]) > tonumber(ARGV[5]) then
  old = redis.call('ZRANGE', KEYS[2], 0, 19)
end
for _, other in ipairs(old) do
  forget(other)
end
return 1
