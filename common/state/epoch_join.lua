-- KEYS: epoch, rebuild.  ARGV: my token, the lock's ms, the server that runs this (its run_id).
-- {1, epoch}: there is one; {0, server}: there is none and the rebuild lock is mine; {-1, ''}: it is another's.
-- An epoch of another server came with a copy of its data (a restart, a replica that was promoted), which may lack the
-- last of it: it does not hold here.
local epoch = redis.call('GET', KEYS[1])
if epoch and string.match(epoch, '@(.*)$') == ARGV[3] then
  return {1, epoch}
end
local owner = redis.call('GET', KEYS[2])
if owner and owner ~= ARGV[1] then
  return {-1, ''}
end
redis.call('DEL', KEYS[1])
redis.call('SET', KEYS[2], ARGV[1], 'PX', ARGV[2])
return {0, ARGV[3]}
