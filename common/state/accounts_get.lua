-- KEYS: guard, accounts, accounts:list.  ARGV: guard, the time of the list that is known.
-- {time, trouble, id, record, id, record, …}; no records when it is the known one.
local known = redis.call('HMGET', KEYS[3], 'time', 'trouble')
local answer = {known[1] or '0', known[2] or ''}
if known[1] and known[1] ~= ARGV[2] then
  for _, part in ipairs(redis.call('HGETALL', KEYS[2])) do
    answer[#answer + 1] = part
  end
end
return answer
