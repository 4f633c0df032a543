-- KEYS: guard, baseline.
-- ARGV: guard, subject, the version that was read (0: there was none; -1: whatever is there), record ('': forget it),
--       ms to live.
-- 1: written; 0: somebody else wrote since.
local version = tonumber(redis.call('HGET', KEYS[2], 'version') or 0)
if tonumber(ARGV[3]) >= 0 and tonumber(ARGV[3]) ~= version then
  return 0
end
if ARGV[4] == '' then
  redis.call('DEL', KEYS[2])
  return 1
end
redis.call('HSET', KEYS[2], 'version', version + 1, 'record', ARGV[4])
redis.call('PEXPIRE', KEYS[2], ARGV[5])
return 1
