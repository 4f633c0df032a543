-- KEYS: guard, findings, records, status, by-status, counts, places.  ARGV: guard, the most to give, status ('': all).
-- Records, the one changed last first.
local answer = {}
local ids = {}
if ARGV[3] == '' then
  ids = redis.call('ZREVRANGEBYSCORE', KEYS[2], '+inf', now - 30 * 86400000, 'LIMIT', 0, ARGV[2])
else
  local from = ARGV[3] .. '|' .. string.format('%013.0f', now - 30 * 86400000)
  local members = redis.call('ZREVRANGEBYLEX', KEYS[5], '[' .. ARGV[3] .. '|~', '[' .. from, 'LIMIT', 0, ARGV[2])
  for i, member in ipairs(members) do
    ids[i] = string.sub(member, #ARGV[3] + 16)
  end
end
for _, id in ipairs(ids) do
  answer[#answer + 1] = redis.call('HGET', KEYS[3], id) or nil
end
return answer
