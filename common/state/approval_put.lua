-- KEYS: guard, approvals.  ARGV: guard, id, record ('': forget it), the record that must be there ('': whatever), the
-- most there may be.  1: written, 0: another record is there.
if ARGV[4] ~= '' and redis.call('HGET', KEYS[2], ARGV[2]) ~= ARGV[4] then
  return 0
end
if ARGV[3] == '' then
  redis.call('HDEL', KEYS[2], ARGV[2])
  return 1
end
if redis.call('HLEN', KEYS[2]) >= tonumber(ARGV[5]) and redis.call('HEXISTS', KEYS[2], ARGV[2]) == 0 then
  return redis.error_reply('FULL ' .. KEYS[2] .. ' has ' .. ARGV[5] .. ' fields')
end
redis.call('HSET', KEYS[2], ARGV[2], ARGV[3])
return 1
