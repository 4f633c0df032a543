-- KEYS: guard, findings, records, status, by-status, counts, places.  ARGV: guard, guardrail|account|region|, the most.
-- The records there whose violation is still there.
local answer = {}
for _, member in ipairs(redis.call('ZRANGEBYLEX', KEYS[7], '[' .. ARGV[2], '(' .. ARGV[2] .. '\255', 'LIMIT', 0, ARGV[3])) do
  answer[#answer + 1] = redis.call('HGET', KEYS[3], string.sub(member, #ARGV[2] + 1)) or nil
end
return answer
