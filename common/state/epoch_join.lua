-- KEYS: epoch, rebuild.  ARGV: my token, the lock's ms.
-- {1, epoch}: there is one; {0, ''}: there is none and the rebuild lock is mine; {-1, ''}: it is another's.
local epoch = redis.call('GET', KEYS[1])
if epoch then
  return {1, epoch}
end
local owner = redis.call('GET', KEYS[2])
if owner and owner ~= ARGV[1] then
  return {-1, ''}
end
redis.call('SET', KEYS[2], ARGV[1], 'PX', ARGV[2])
return {0, ''}
