-- KEYS: guard, baseline.  ARGV: guard, subject, ms to live from now on.  {version, record}, or {}: there is none.
local found = redis.call('HMGET', KEYS[2], 'version', 'record')
if not found[1] then
  return {}
end
redis.call('PEXPIRE', KEYS[2], ARGV[3])
return found
