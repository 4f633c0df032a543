-- KEYS: guard, findings, records, status, by-status, counts.  ARGV: guard, three texts that a record must hold.
-- The open, failed and excepted records that hold them; the caller looks closer.
local answer = {}
for _, status in ipairs({'open', 'failed', 'excepted'}) do
  for _, member in ipairs(redis.call('ZREVRANGEBYLEX', KEYS[5], '[' .. status .. '|~', '[' .. status .. '|')) do
    local record = redis.call('HGET', KEYS[3], string.sub(member, #status + 16))
    if record and string.find(record, ARGV[2], 1, true) and string.find(record, ARGV[3], 1, true) and
        string.find(record, ARGV[4], 1, true) then
      answer[#answer + 1] = record
    end
  end
end
return answer
