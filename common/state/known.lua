-- KEYS: guard, intents, findings:records.  ARGV: guard, then subject, its finding's id, …
-- {1: an action of it was begun, 1: it has a finding, …}
local answer = {}
for i = 2, #ARGV, 2 do
  answer[i - 1] = redis.call('HEXISTS', KEYS[2], ARGV[i])
  answer[i] = redis.call('HEXISTS', KEYS[3], ARGV[i + 1])
end
return answer
