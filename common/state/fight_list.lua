-- KEYS: guard, fights, their records.  ARGV: guard, since (ms), the most to give.  {subject, when, record, …}
local answer = {}
local fights = redis.call('ZREVRANGEBYSCORE', KEYS[2], '+inf', now - ARGV[2], 'WITHSCORES', 'LIMIT', 0, ARGV[3])
for i = 1, #fights, 2 do
  answer[#answer + 1] = fights[i]
  answer[#answer + 1] = fights[i + 1]
  answer[#answer + 1] = redis.call('HGET', KEYS[3], fights[i]) or '{}'
end
return answer
