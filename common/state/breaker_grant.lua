-- The last gate: one action over all its scopes, or over none.
-- KEYS: guard, stop, breakers, grants, population, then for each scope: its state (a hash), its window (a sorted set of
--       actions).
-- ARGV: guard, action, mode (grant, released), the last serial this process saw, then for each scope: its name,
--       its limit (0: none), its window in ms, the population's name, its share in 1/10,000 (0: none), the least.
-- {0 granted | 1 stop | 2 held | 3 open, the scope that refuses, 1 when this call tripped it, serial}
local action, mode = ARGV[2], ARGV[3]
local serial = tonumber(redis.call('GET', KEYS[4]) or 0)
if serial < tonumber(ARGV[4]) then
  -- Grants that were given are not here: an older copy of the data. Nobody may count on it.
  redis.call('DEL', KEYS[1])
  return redis.error_reply('EPOCH grants went back from ' .. ARGV[4] .. ' to ' .. serial)
end
if redis.call('EXISTS', KEYS[2]) == 1 then
  return {1, 'stop', 0, serial}
end

-- What the share of the resources allows, where that is less than the number of actions.
local function limit_of(actions, population, share, least)
  if share == 0 then
    return actions
  end
  local seen = tonumber(redis.call('HGET', KEYS[5], population) or 0)
  local allowed = math.max(least, math.floor(seen * share / 10000))
  return (actions == 0 or allowed < actions) and allowed or actions
end

-- Is there a probe left for this action?  One that it has already is still its own.
local function has_probe(scope)
  local fields, taken = redis.call('HGETALL', scope.state_key), 0
  local probes = 0
  for i = 1, #fields, 2 do
    if fields[i] == 'probe:' .. action then
      return true
    end
    if string.sub(fields[i], 1, 6) == 'probe:' then
      taken = taken + 1
      -- Nobody told how it ended: its worker is gone, or there was nothing left to do.
      if fields[i + 1] ~= 'passed' and tonumber(fields[i + 1]) < now - 600000 then
        scope.lost = fields[i]
      end
    elseif fields[i] == 'probes' then
      probes = tonumber(fields[i + 1])
    end
  end
  return taken < probes or scope.lost ~= nil and taken <= probes
end

local scopes = {}
for key = 6, #KEYS, 2 do
  local at = 5 + (key - 6) / 2 * 6
  local scope = {state_key = KEYS[key], window_key = KEYS[key + 1], name = ARGV[at], window = tonumber(ARGV[at + 2])}
  local state = redis.call('HMGET', scope.state_key, 'state', 'by')
  scope.state, scope.by = state[1] or 'closed', state[2]
  if mode == 'grant' then
    scope.limit = limit_of(tonumber(ARGV[at + 1]), ARGV[at + 3], tonumber(ARGV[at + 4]), tonumber(ARGV[at + 5]))
  end
  scope.counts = mode == 'grant' and scope.limit > 0
  if scope.counts then
    -- Only reads before the first write: after any write Redis lets a script go on even when its memory is full.
    local counted = redis.call('ZSCORE', scope.window_key, action)
    scope.counted = counted and tonumber(counted) > now - scope.window
    scope.count = redis.call('ZCOUNT', scope.window_key, '(' .. string.format('%.0f', now - scope.window), '+inf')
  end
  scope.probing = scope.state == 'half-open' and has_probe(scope)
  scopes[#scopes + 1] = scope
end

-- An action that every window holds already was granted before; its answer got lost. The limit that tripped meanwhile
-- counted it, so it may go; a person's hold or trip stops it all the same.
local again = false
for _, scope in ipairs(scopes) do
  if scope.counts then
    again = true
  end
end
for _, scope in ipairs(scopes) do
  again = again and not (scope.counts and not scope.counted)
end

for _, scope in ipairs(scopes) do
  if scope.state == 'held' then
    return {2, scope.name, 0, serial}
  end
end
for _, scope in ipairs(scopes) do
  if scope.state ~= 'closed' and not scope.probing and not (again and scope.by == 'limit') then
    return {3, scope.name, 0, serial}
  end
end

local full
for _, scope in ipairs(scopes) do
  if scope.counts and not scope.counted and not scope.probing and scope.count >= scope.limit then
    full = full or scope.name
    redis.call('HSET', scope.state_key, 'state', 'open', 'opened', now, 'by', 'limit', 'reason',
      scope.limit .. ' actions in ' .. scope.window / 1000 .. ' s', 'limit', scope.limit, 'window_ms', scope.window)
    redis.call('PERSIST', scope.state_key)
    redis.call('ZADD', KEYS[3], now, scope.name)
  end
end
if full then
  return {3, full, 1, serial}
end

local fresh = false
for _, scope in ipairs(scopes) do
  if scope.probing then
    fresh = true
    if scope.lost then
      redis.call('HDEL', scope.state_key, scope.lost)
    end
    redis.call('HSETNX', scope.state_key, 'probe:' .. action, now)
  end
  if scope.counts and not scope.counted then
    fresh = true
    redis.call('ZADD', scope.window_key, now, action)
    redis.call('ZREMRANGEBYSCORE', scope.window_key, '-inf', now - scope.window)
    redis.call('PEXPIRE', scope.window_key, scope.window)
    redis.call('HSET', scope.state_key, 'limit', scope.limit, 'window_ms', scope.window)
    if scope.state == 'closed' then
      redis.call('HSET', scope.state_key, 'state', 'closed')
      redis.call('PEXPIRE', scope.state_key, math.max(scope.window, 86400000))
    end
    redis.call('ZADD', KEYS[3], now, scope.name)
  end
end
if fresh then
  serial = redis.call('INCR', KEYS[4])
end
return {0, '', 0, serial}
