-- KEYS: guard, notices, notices-sending, digest, digest-notices, sending, sending-notices.
-- ARGV: guard, key, notice, outcome, window in ms, the most notices kept as text, the most outcomes told apart, the most
--       digests the channel may have.
-- A digest that nobody takes is forgotten a week after it fell due.
if redis.call('ZCARD', KEYS[2]) >= tonumber(ARGV[8]) and not redis.call('ZSCORE', KEYS[2], ARGV[2]) then
  return redis.error_reply('FULL there are ' .. ARGV[8] .. ' digests')
end
redis.call('HINCRBY', KEYS[4], 'count', 1)
redis.call('HSETNX', KEYS[4], 'first', now)
redis.call('HSET', KEYS[4], 'last', now)
local field = 'outcome:' .. ARGV[4]
if redis.call('HEXISTS', KEYS[4], field) == 0 and redis.call('HLEN', KEYS[4]) - 3 >= tonumber(ARGV[7]) then
  field = 'outcome:other'
end
redis.call('HINCRBY', KEYS[4], field, 1)
if redis.call('LLEN', KEYS[5]) < tonumber(ARGV[6]) then
  redis.call('RPUSH', KEYS[5], ARGV[3])
end
redis.call('ZADD', KEYS[2], 'NX', now + ARGV[5], ARGV[2])
redis.call('PEXPIRE', KEYS[4], ARGV[5] + 7 * 86400000)
redis.call('PEXPIRE', KEYS[5], ARGV[5] + 7 * 86400000)
return 1
