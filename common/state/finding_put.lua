-- KEYS: guard, findings (by time of change), records, status (id -> status|time), by-status (status|time|id), counts,
--       places (guardrail|account|region|id, of those whose violation is still there), and, if it must not be there, a
--       mark that its event was answered.
-- ARGV: guard, id, record, status, the most there may be, guardrail|account|region|, 1: the violation is still there,
--       the record that must be there now ('': whatever).
-- The status before, '' when it is new; nil: another record is there, or the mark.
local function forget_status(id)
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
if KEYS[8] and redis.call('EXISTS', KEYS[8]) == 1 then
  return false
end
if ARGV[8] ~= '' and redis.call('HGET', KEYS[3], id) ~= ARGV[8] then
  return false
end
local mark = status .. '|' .. string.format('%013.0f', now)
redis.call('HSET', KEYS[3], id, ARGV[3])
local was = forget_status(id)
redis.call('ZADD', KEYS[2], now, id)
redis.call('HSET', KEYS[4], id, mark)
redis.call('ZADD', KEYS[5], 0, mark .. '|' .. id)
redis.call('HINCRBY', KEYS[6], status, 1)
if ARGV[7] == '1' then
  redis.call('ZADD', KEYS[7], 0, ARGV[6] .. id)
else
  redis.call('ZREM', KEYS[7], ARGV[6] .. id)
end

-- Those not changed for 30 days go, some at a time; and beyond the ceiling those changed longest ago.
local old = redis.call('ZRANGEBYSCORE', KEYS[2], '-inf', now - 30 * 86400000, 'LIMIT', 0, 20)
if redis.call('ZCARD', KEYS[2]) > tonumber(ARGV[5]) then
  old = redis.call('ZRANGE', KEYS[2], 0, 19)
end
for _, other in ipairs(old) do
  local ok, record = pcall(cjson.decode, redis.call('HGET', KEYS[3], other) or '')
  if ok and type(record) == 'table' then
    local place = {}
    for i, name in ipairs({'guardrail', 'account', 'region'}) do
      place[i] = type(record[name]) == 'string' and record[name] or ''
    end
    redis.call('ZREM', KEYS[7], table.concat(place, '|') .. '|' .. other)
  end
  forget_status(other)
  redis.call('ZREM', KEYS[2], other)
  redis.call('HDEL', KEYS[3], other)
  redis.call('HDEL', KEYS[4], other)
end
return was
