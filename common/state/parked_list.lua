-- KEYS: guard, parked, units, released, takes.  ARGV: guard, the most to give.
-- {how many there are, then: subject, unit, '1' when released, due ('0': waits for its release), …}, the next due first
local answer = {redis.call('ZCARD', KEYS[2])}
local parked = redis.call('ZRANGE', KEYS[2], 0, ARGV[2] - 1, 'WITHSCORES')
for i = 1, #parked, 2 do
  if tonumber(ARGV[2]) == 0 then
    break
  end
  answer[#answer + 1] = parked[i]
  answer[#answer + 1] = redis.call('HGET', KEYS[3], parked[i]) or 'null'
  answer[#answer + 1] = tostring(redis.call('SISMEMBER', KEYS[4], parked[i]))
  answer[#answer + 1] = parked[i + 1] == 'inf' and '0' or parked[i + 1]
end
return answer
