-- Goes before every script that only a joined (or rebuilding) process may run.
-- KEYS[1]: the guard, the epoch's or the rebuild lock's key; ARGV[1]: what it must hold.
if redis.call('GET', KEYS[1]) ~= ARGV[1] then
  return redis.error_reply('EPOCH ' .. KEYS[1] .. ' does not hold what this process knows')
end
if string.sub(ARGV[1], 1, 8) == 'rebuild:' then
  redis.call('PEXPIRE', KEYS[1], 60000)
end
-- Redis' clock, in wall ms: workers' clocks do not matter.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
