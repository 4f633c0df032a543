-- The last gate: one action over all its scopes, or over none.
-- KEYS: guard, stop, breakers, grants, then for each scope: its state (a hash), its window (a sorted set of actions).
-- ARGV: guard, action, mode (peek, grant, released), the last serial this process saw, then for each scope: its name,
--       its limit (0: none), its window in ms.
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

local scopes = {}
for key = 5, #KEYS, 2 do
  local at = 5 + (key - 5) / 2 * 3
  local scope = {state_key = KEYS[key], window_key = KEYS[key + 1], name = ARGV[at], limit = tonumber(ARGV[at + 1]),
                 window = tonumber(ARGV[at + 2])}
  local state = redis.call('HMGET', scope.state_key, 'state', 'by')
  scope.state, scope.by = state[1] or 'closed', state[2]
  scope.counts = mode == 'grant' and scope.limit > 0
  if scope.counts then
    -- Only reads before the first write: after any write Redis lets a script go on even when its memory is full.
    local counted = redis.call('ZSCORE', scope.window_key, action)
    scope.counted = counted and tonumber(counted) > now - scope.window
    scope.count = redis.call('ZCOUNT', scope.window_key, '(' .. string.format('%.0f', now - scope.window), '+inf')
  end
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
  if scope.state ~= 'closed' and not (again and scope.by == 'limit') then
    return {3, scope.name, 0, serial}
  end
end
if mode ~= 'grant' then
  return {0, '', 0, serial}
end

local full
for _, scope in ipairs(scopes) do
  if scope.counts and not scope.counted and scope.count >= scope.limit then
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
  if scope.counts and not scope.counted then
    fresh = true
    redis.call('ZADD', scope.window_key, now, action)
    redis.call('ZREMRANGEBYSCORE', scope.window_key, '-inf', now - scope.window)
    redis.call('PEXPIRE', scope.window_key, scope.window)
    redis.call('HSET', scope.state_key, 'state', 'closed', 'limit', scope.limit, 'window_ms', scope.window)
    redis.call('PEXPIRE', scope.state_key, math.max(scope.window, 86400000))
    redis.call('ZADD', KEYS[3], now, scope.name)
  end
end
if fresh then
  serial = redis.call('INCR', KEYS[4])
end
return {0, '', 0, serial}
