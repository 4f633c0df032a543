-- KEYS: epoch, rebuild.  ARGV: my token, the new epoch.  Ends the rebuild.
if redis.call('GET', KEYS[2]) ~= ARGV[1] or redis.call('EXISTS', KEYS[1]) == 1 then
  return redis.error_reply('EPOCH the rebuild lock was lost: join again')
end
redis.call('SET', KEYS[1], ARGV[2])
redis.call('DEL', KEYS[2])
return 1
