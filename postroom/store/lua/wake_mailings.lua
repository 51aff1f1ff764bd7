-- wake_mailings: put mailings in line for their turn: one, or sleepers whose moment has come.
-- One that was away starts no earlier than those that are being served now, so it can neither
-- monopolise nor be made to wait for them. One whose time is still to come sleeps until then,
-- unless it is in line already.
-- KEYS[1] line   KEYS[2] routes   KEYS[3] asleep   KEYS[4] wakes   KEYS[5] clocks   KEYS[6] spent
-- KEYS[7] held   KEYS[8] lanes   KEYS[9] ready of the transactional lane   KEYS[10] ready of bulk
-- ARGV     how many sleepers at most, then maybe a mailing: its id, its route (account|lane|weight|
--          batch size), before when it may not go in Unix seconds, and within how many seconds
-- Returns  {sleepers woken, seconds until a mailing sleeps or an account is held no longer, as a
--          string ('' = none does)}. An error for a weight that is not written with digits, above 0
local line, routes, asleep, wakes, clocks, spent, held, lanes = unpack(KEYS, 1, 8)
local time = redis.call('TIME')
local now = tonumber(time[1]) + tonumber(time[2]) / 1e6

-- As next_turns and end_turn read it. An endless weight would end fairness for all.
if ARGV[3] then
  local weight = tonumber(string.match(ARGV[3], '|([%d%.]+)|%d+$') or '') or 0
  if weight <= 0 or weight == math.huge then return redis.error_reply('no weight to reckon with: ' .. ARGV[3]) end
end

local function wake(id, route)
  local clock, account, lane = string.match(route, '^(([^|]+)|([^|]+))')
  redis.call('ZREM', asleep, id)
  local turn = redis.call('HGET', clocks, id)
  if not (turn and redis.call('ZSCORE', line, clock .. '|' .. turn .. '|' .. id)) then
    local served = tonumber(redis.call('HGET', clocks, clock) or '') or 0
    turn = string.format('%023.6f', math.max(tonumber(turn or '') or 0, served))
    redis.call('HSETNX', clocks, clock, 0)
    redis.call('HSET', clocks, id, turn)
    redis.call('ZADD', line, 0, clock .. '|' .. turn .. '|' .. id)
  end
  redis.call('ZADD', lane == 'bulk' and KEYS[10] or KEYS[9], 'NX', redis.call('HGET', spent, clock) or 0, account)
  redis.call('HSET', wakes, id, redis.call('HINCRBY', wakes, '', 1))
end

if ARGV[2] then
  local id, route, moment = ARGV[2], ARGV[3], math.max(tonumber(ARGV[4]), now + tonumber(ARGV[5]))
  local clock = string.match(route, '^[^|]+|[^|]+')
  redis.call('SADD', lanes, clock)
  redis.call('HSET', routes, id, route)
  local turn = redis.call('HGET', clocks, id) or ''
  if moment <= now or redis.call('ZSCORE', line, clock .. '|' .. turn .. '|' .. id) then
    wake(id, route)
  else
    redis.call('ZADD', asleep, 'LT', string.format('%.6f', moment), id)
    redis.call('HSET', wakes, id, redis.call('HINCRBY', wakes, '', 1))
  end
end

local due = redis.call('ZRANGEBYSCORE', asleep, '-inf', now, 'LIMIT', 0, tonumber(ARGV[1]))
for _, id in ipairs(due) do
  local route = redis.call('HGET', routes, id)
  if route then wake(id, route) else redis.call('ZREM', asleep, id) end
end
local first = redis.call('ZRANGE', asleep, 0, 0, 'WITHSCORES')[2]
local hold = redis.call('ZRANGE', held, 0, 0, 'WITHSCORES')[2]
if not first or (hold and tonumber(hold) < tonumber(first)) then first = hold end
return {#due, first and string.format('%.6f', math.max(0, tonumber(first) - now)) or ''}
