-- KEYS: guard, breakers, then for each scope: state, window.  ARGV: guard, the scopes.
-- {scope, state, count, limit, window in ms, opened, by, reason, …}; scopes that are forgotten leave the index.
local answer = {}
for i = 2, #ARGV do
  local values = redis.call('HMGET', KEYS[2 * i - 1], 'state', 'limit', 'window_ms', 'opened', 'by', 'reason')
  if values[1] then
    local since = now - (tonumber(values[3]) or 0)
    local row = {ARGV[i], values[1], tostring(redis.call('ZCOUNT', KEYS[2 * i], '(' .. string.format('%.0f', since), '+inf')),
                 values[2] or '0', values[3] or '0', values[4] or '0', values[5] or '', values[6] or ''}
    for _, value in ipairs(row) do
      answer[#answer + 1] = value
    end
  else
    redis.call('ZREM', KEYS[2], ARGV[i])
  end
end
return answer
