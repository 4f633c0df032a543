-- KEYS: guard, rounds of the subject.  ARGV: guard, action, round, window in ms, the most to keep.
-- Members are ACTION|ROUND: an action is a round once.
for _, member in ipairs(redis.call('ZRANGE', KEYS[2], 0, -1)) do
  if string.sub(member, 1, #ARGV[2] + 1) == ARGV[2] .. '|' then
    return 0
  end
end
redis.call('ZADD', KEYS[2], now, ARGV[2] .. '|' .. ARGV[3])
redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', now - ARGV[4])
redis.call('ZREMRANGEBYRANK', KEYS[2], 0, -1 - ARGV[5])
redis.call('PEXPIRE', KEYS[2], ARGV[4])
return 1
