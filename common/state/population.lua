-- KEYS: guard, population, the account's own.
-- ARGV: guard, account, region|type, type, how many resources were seen, the most fields there may be.
local before = tonumber(redis.call('HGET', KEYS[3], ARGV[3]) or 0)
if redis.call('HLEN', KEYS[2]) >= tonumber(ARGV[6]) or redis.call('HLEN', KEYS[3]) >= tonumber(ARGV[6]) then
  return redis.error_reply('FULL ' .. KEYS[2] .. ' has ' .. ARGV[6] .. ' fields')
end
redis.call('HSET', KEYS[3], ARGV[3], ARGV[5])
local more = tonumber(ARGV[5]) - before
for _, name in ipairs({ARGV[2] .. '/' .. ARGV[4], ARGV[2], ARGV[4], '*'}) do
  redis.call('HINCRBY', KEYS[2], name, string.format('%.0f', more))
end
return 1
