-- KEYS: guard, rounds of the subject.  ARGV: guard, window in ms.  {when, round, …} the oldest first
local answer = {}
local rounds = redis.call('ZRANGEBYSCORE', KEYS[2], '(' .. string.format('%.0f', now - ARGV[2]), '+inf', 'WITHSCORES')
for i = 1, #rounds, 2 do
  answer[#answer + 1] = rounds[i + 1]
  answer[#answer + 1] = string.match(rounds[i], '^[^|]*|(.*)$') or ''
end
return answer
