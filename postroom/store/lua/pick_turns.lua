-- pick_turns: whose batches go to the workers next, on one account and lane. Always the campaign
-- that has sent least for its weight; each pick charges it one batch ahead. Never more than the
-- workers that serve the account have room for, nor than its rate keeps busy; but a campaign of
-- which nothing is out need not wait for somebody's slice to end, as long as that is not doubled.
-- KEYS[1] turns   KEYS[2] hold   KEYS[3] out   KEYS[4] slots   KEYS[5] routes
-- KEYS[6] wakes   KEYS[7] clocks   KEYS[8] limits
-- ARGV     account|lane, batches a slot, ticket name, seconds that a ticket lives, how many at
--          most (0: as many as there is room for), then campaigns that are not to be picked
-- Returns  {campaign, ticket, wakes, campaign, ticket, wakes, ...}
local LOOK_AT = 32
local turns, hold, out, slots, routes = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local wakes, clocks = KEYS[6], KEYS[7]
local clock, window, ticket, lives = ARGV[1], tonumber(ARGV[2]), ARGV[3], tonumber(ARGV[4])
local most = tonumber(redis.call('HGET', KEYS[8], clock) or '') or 0

if redis.call('EXISTS', hold) == 1 then return {} end
local time = redis.call('TIME')
local now = tonumber(time[1]) + tonumber(time[2]) / 1e6
redis.call('ZREMRANGEBYSCORE', out, '-inf', now)

local total, serving, workers = 0, 0, redis.call('HGETALL', slots)
local account = ',' .. string.match(clock, '^[^|]+') .. ','
for i = 1, #workers, 2 do
  -- Not as a capture: what a worker serves may be hundreds of names, and is read at every pick.
  local count, till, at = string.match(workers[i + 1], '^(%d+)|([%d%.]+)|?()')
  if tonumber(till) < now then
    redis.call('HDEL', slots, workers[i])
  else
    total = total + tonumber(count)
    local any = string.sub(workers[i + 1], at, at) ~= ','
    if any or string.find(workers[i + 1], account, at, true) then serving = serving + tonumber(count) end
  end
end
local free = math.ceil(total * window) - redis.call('ZCARD', out)
if free <= 0 then return {} end
local own, going = 0, {}
for _, member in ipairs(redis.call('ZRANGE', out, 0, -1)) do
  if string.sub(member, 1, #clock + 1) == clock .. '|' then
    own = own + 1
    going[string.match(member, '^([^|]+)|', #clock + 2)] = true
  end
end
local room = math.min(free, math.ceil(serving * window) - own)
if tonumber(ARGV[5]) > 0 then room = math.min(room, tonumber(ARGV[5])) end
local but = {}
for at = 6, #ARGV do but[ARGV[at]] = true end
local function next_turn()
  local first = redis.call('ZRANGE', turns, 0, LOOK_AT - 1, 'WITHSCORES')
  for i = 1, #first, 2 do
    local id = first[i]
    if not but[id] and (most <= 0 or own < most or (own < 2 * most and not going[id])) then return id, first[i + 1] end
  end
end

local picked = {}
for at = 1, room do
  local id, turn = next_turn()
  if not id then break end
  own, going[id] = own + 1, true
  local weight, size = string.match(redis.call('HGET', routes, id) or '', '|([%d%.]+)|(%d+)$')
  redis.call('ZINCRBY', turns, (tonumber(size) or 500) / (tonumber(weight) or 1), id)
  redis.call('HSET', clocks, clock, turn)
  local member = clock .. '|' .. id .. '|' .. ticket .. '.' .. at
  redis.call('ZADD', out, now + lives, member)
  for _, part in ipairs({id, member, redis.call('HGET', wakes, id) or ''}) do
    table.insert(picked, part)
  end
end
return picked
