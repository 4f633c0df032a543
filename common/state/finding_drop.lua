-- KEYS: guard, findings, records, status, by-status, counts.  ARGV: guard, id.
local old = redis.call('HGET', KEYS[4], ARGV[2])
if not old then
  return 0
end
local status = string.match(old, '^[^|]*')
redis.call('ZREM', KEYS[5], old .. '|' .. ARGV[2])
if redis.call('HINCRBY', KEYS[6], status, -1) <= 0 then
  redis.call('HDEL', KEYS[6], status)
end
redis.call('ZREM', KEYS[2], ARGV[2])
redis.call('HDEL', KEYS[3], ARGV[2])
redis.call('HDEL', KEYS[4], ARGV[2])
return 1
