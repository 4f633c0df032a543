-- KEYS: guard, stop, lease.  ARGV: guard, owner, token, ms to live.  '' go, or why not.
if redis.call('EXISTS', KEYS[2]) == 1 then
  return 'stop'
end
local lease = redis.call('HMGET', KEYS[3], 'owner', 'token')
if lease[1] ~= ARGV[2] or lease[2] ~= ARGV[3] then
  return 'lease'
end
redis.call('PEXPIRE', KEYS[3], ARGV[4])
return ''
