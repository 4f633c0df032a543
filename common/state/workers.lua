-- KEYS: guard, workers, workers:expire.  The records of those that live.
local answer = {}
for _, owner in ipairs(redis.call('ZRANGEBYSCORE', KEYS[3], now, '+inf')) do
  answer[#answer + 1] = redis.call('HGET', KEYS[2], owner) or nil
end
return answer
