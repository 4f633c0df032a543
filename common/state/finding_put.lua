-- KEYS: guard, findings (by time of change), records, status (id -> status|time), by-status (status|time|id), counts.
-- ARGV: guard, id, record, status, the most there may be.  The status before, '' when it is new.
local function forget(id)
  local old = redis.call('HGET', KEYS[4], id)
  if not old then
    return ''
  end
  local status = string.match(old, '^[^|]*')
  redis.call('ZREM', KEYS[5], old .. '|' .. id)
  if redis.call('HINCRBY', KEYS[6], status, -1) <= 0 then
    redis.call('HDEL', KEYS[6], status)
  end
  return status
end

local id, status = ARGV[2], ARGV[4]
local mark = status .. '|' .. string.format('%013.0f', now)
redis.call('HSET', KEYS[3], id, ARGV[3])
local was = forget(id)
redis.call('ZADD', KEYS[2], now, id)
redis.call('HSET', KEYS[4], id, mark)
redis.call('ZADD', KEYS[5], 0, mark .. '|' .. id)
redis.call('HINCRBY', KEYS[6], status, 1)

-- Those not changed for 30 days go, some at a time; and beyond the ceiling those changed longest ago.
local old = redis.call('ZRANGEBYSCORE', KEYS[2], '-inf', now - 30 * 86400000, 'LIMIT', 0, 20)
if redis.call('ZCARD', KEYS[2]) > tonumber(ARGV[5]) then
  old = redis.call('ZRANGE', KEYS[2], 0, 19)
end
for _, other in ipairs(old) do
  forget(other)
  redis.call('ZREM', KEYS[2], other)
  redis.call('HDEL', KEYS[3], other)
  redis.call('HDEL', KEYS[4], other)
end
return was
