-- KEYS: guard, actions, records, images.  ARGV: guard, from, to (wall ms), the most to give.
-- {time of the oldest there is ('0': none), record, record, …}, the latest first
local oldest = redis.call('ZRANGE', KEYS[2], 0, 0, 'WITHSCORES')
local answer = {oldest[2] or '0'}
local ids = redis.call('ZREVRANGEBYSCORE', KEYS[2], ARGV[3], ARGV[2], 'LIMIT', 0, ARGV[4])
for _, id in ipairs(ids) do
  answer[#answer + 1] = redis.call('HGET', KEYS[3], id) or nil
end
return answer
