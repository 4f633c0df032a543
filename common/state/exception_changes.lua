-- KEYS: guard, exceptions, version, changes.  ARGV: guard, the version known, the most to give.
-- {version, id, its version, record ('' when removed), …} in the order of versions.
local answer = {redis.call('GET', KEYS[3]) or '0'}
local changes = redis.call('ZRANGEBYSCORE', KEYS[4], '(' .. ARGV[2], '+inf', 'WITHSCORES', 'LIMIT', 0, ARGV[3])
for i = 1, #changes, 2 do
  answer[#answer + 1] = changes[i]
  answer[#answer + 1] = changes[i + 1]
  answer[#answer + 1] = redis.call('HGET', KEYS[2], changes[i]) or ''
end
return answer
