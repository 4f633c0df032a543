-- KEYS: guard, accounts, accounts:list.  ARGV: guard, owner, {id: record}, or '' and why there is no list.
-- Only who claimed it; 1: written.
local known = redis.call('HMGET', KEYS[3], 'owner', 'tried')
if known[1] ~= ARGV[2] then
  return 0
end
redis.call('HDEL', KEYS[3], 'owner', 'until')
if ARGV[3] == '' then
  redis.call('HSET', KEYS[3], 'trouble', ARGV[4])
  return 1
end
local members = cjson.decode(ARGV[3])
for _, id in ipairs(redis.call('HKEYS', KEYS[2])) do
  if not members[id] then
    redis.call('HDEL', KEYS[2], id)
  end
end
for id, record in pairs(members) do
  redis.call('HSET', KEYS[2], id, record)
end
redis.call('HDEL', KEYS[3], 'trouble')
redis.call('HSET', KEYS[3], 'time', known[2], 'by', ARGV[2])
return 1
