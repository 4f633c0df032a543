-- What the gates ask before anything is read, of several guardrails at once.  Nothing is counted.
-- KEYS: guard, stop, grants, parked, takes, then each breaker's state.
-- ARGV: guard, the last serial this process saw, then the subjects that may be parked.
-- {serial, 1: there is a stop, {each breaker's state; 'probing': half-open, with a probe left}, {1: it is parked, …}}
local serial = tonumber(redis.call('GET', KEYS[3]) or 0)
if serial < tonumber(ARGV[2]) then
  -- Grants that were given are not here: an older copy of the data. Nobody may count on it.
  redis.call('DEL', KEYS[1])
  return redis.error_reply('EPOCH grants went back from ' .. ARGV[2] .. ' to ' .. serial)
end

-- As breaker_grant.lua sees it, for an action that has none yet.
local function has_probe(key)
  local taken, lost, probes, fields = 0, false, 0, redis.call('HGETALL', key)
  for i = 1, #fields, 2 do
    if string.sub(fields[i], 1, 6) == 'probe:' then
      taken = taken + 1
      lost = lost or fields[i + 1] ~= 'passed' and tonumber(fields[i + 1]) < now - 600000
    elseif fields[i] == 'probes' then
      probes = tonumber(fields[i + 1])
    end
  end
  return taken < probes or lost and taken <= probes
end

local states, parked = {}, {}
for i = 6, #KEYS do
  local state = redis.call('HGET', KEYS[i], 'state') or 'closed'
  states[i - 5] = state == 'half-open' and has_probe(KEYS[i]) and 'probing' or state
end

-- Whoever asks leaves its own work to the parked unit.  Somebody who works on that one may have looked before: its
-- unpark must not be the end of it.
for i = 3, #ARGV do
  parked[i - 2] = redis.call('ZSCORE', KEYS[4], ARGV[i]) and 1 or 0
  if parked[i - 2] == 1 and redis.call('HGET', KEYS[5], ARGV[i]) == 'taken' then
    redis.call('HSET', KEYS[5], ARGV[i], 'asked')
  end
end
return {serial, redis.call('EXISTS', KEYS[2]), states, parked}
