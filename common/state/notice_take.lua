-- KEYS: guard, notices, notices-sending, digest, digest-notices, sending, sending-notices, notices-sent.
-- ARGV: guard, key, ms to hold, ms to keep it, how many digests may be begun within …, … so many ms (0: no limit).
-- nil: not due (any more).  Else {how many of the strings are the digest's hash, field, value, …, notice, …}
local key = ARGV[2]
local held = redis.call('ZSCORE', KEYS[3], key)
if held then
  if tonumber(held) > now then
    return false
  end
else
  local due = redis.call('ZSCORE', KEYS[2], key)
  if not due or tonumber(due) > now then
    return false
  end
  local limit, since = tonumber(ARGV[5]), string.format('%.0f', now - ARGV[6])
  if limit > 0 then
    if redis.call('ZCOUNT', KEYS[8], '(' .. since, '+inf') >= limit then
      return false
    end
    redis.call('ZADD', KEYS[8], now, string.format('%.0f', now) .. '|' .. key)
    redis.call('ZREMRANGEBYSCORE', KEYS[8], '-inf', since)
    redis.call('PEXPIRE', KEYS[8], ARGV[6])
  end
  redis.call('ZREM', KEYS[2], key)
  redis.call('DEL', KEYS[6], KEYS[7])
  for i = 4, 5 do
    if redis.call('EXISTS', KEYS[i]) == 1 then
      redis.call('RENAME', KEYS[i], KEYS[i + 2])
      redis.call('PEXPIRE', KEYS[i + 2], ARGV[4])
    end
  end
end
if redis.call('EXISTS', KEYS[6]) == 0 then
  redis.call('ZREM', KEYS[3], key) -- forgotten: nobody took it for a week
  return false
end
redis.call('HINCRBY', KEYS[6], 'tries', 1)
local answer = redis.call('HGETALL', KEYS[6])
redis.call('ZADD', KEYS[3], now + ARGV[3], key)
table.insert(answer, 1, #answer)
for _, notice in ipairs(redis.call('LRANGE', KEYS[7], 0, -1)) do
  answer[#answer + 1] = notice
end
return answer
