-- KEYS: guard, findings, records, status, by-status, counts, places.  ARGV: guard, id.
local old = redis.call('HGET', KEYS[4], ARGV[2])
if not old then
  return 0
end
local status = string.match(old, '^[^|]*')
redis.call('ZREM', KEYS[5], old .. '|' .. ARGV[2])
if redis.call('HINCRBY', KEYS[6], status, -1) <= 0 then
  redis.call('HDEL', KEYS[6], status)
end
local ok, record = pcall(cjson.decode, redis.call('HGET', KEYS[3], ARGV[2]) or '')
if ok and type(record) == 'table' then
  local place = {}
  for i, name in ipairs({'guardrail', 'account', 'region'}) do
    place[i] = type(record[name]) == 'string' and record[name] or ''
  end
  redis.call('ZREM', KEYS[7], table.concat(place, '|') .. '|' .. ARGV[2])
end
redis.call('ZREM', KEYS[2], ARGV[2])
redis.call('HDEL', KEYS[3], ARGV[2])
redis.call('HDEL', KEYS[4], ARGV[2])
return 1
