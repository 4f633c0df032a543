-- KEYS: guard, a string.  ARGV: guard, the value, ms to live (0: for ever).
if ARGV[3] == '0' then
  redis.call('SET', KEYS[2], ARGV[2])
else
  redis.call('SET', KEYS[2], ARGV[2], 'PX', ARGV[3])
end
return 1
