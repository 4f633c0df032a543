-- KEYS: guard, findings, records, status, by-status, counts, places.  {status, count, …} of those changed in the last 30 days.
local answer = {}
local from = string.format('%013.0f', now - 30 * 86400000)
for _, status in ipairs(redis.call('HKEYS', KEYS[6])) do
  local count = redis.call('ZLEXCOUNT', KEYS[5], '[' .. status .. '|' .. from, '[' .. status .. '|~')
  if count > 0 then
    answer[#answer + 1] = status
    answer[#answer + 1] = tostring(count)
  end
end
return answer
