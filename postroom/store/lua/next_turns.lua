-- next_turns: whose batches go to the workers next, of all accounts. Transactional mail first; then
-- the account that has held the workers' slots for the shortest time; in it the mailing that has
-- sent least for its weight. Each pick charges both ahead. Never more than the workers that serve
-- the account have room for, nor than its rate keeps busy; but a mailing of which nothing is out
-- need not wait for somebody's slice to end, as long as that is not doubled.
-- An account that cannot go is taken out until something lets it go, so that it is looked at once.
-- KEYS[1] line   KEYS[2] routes   KEYS[3] wakes   KEYS[4] clocks   KEYS[5] spent   KEYS[6] limits
-- KEYS[7] held   then ready, out, slots, room, going, full of the transactional lane and of bulk
-- ARGV     batches a slot, ticket name, seconds that a ticket lives, how many at most, how many of
--          one mailing, accounts whose turn it may be (',a,b,' or '*' for any), then mailings that
--          are not to be picked
-- Returns  {mailing, ticket, wakes, route, mailing, ticket, wakes, route, ...}
local LOOK_AT = 32
local line, routes, wakes, clocks, spent, limits, held = unpack(KEYS, 1, 7)
local window, ticket, lives = tonumber(ARGV[1]), ARGV[2], tonumber(ARGV[3])
local most, each, serves = tonumber(ARGV[4]), tonumber(ARGV[5]), ARGV[6]
local but, picked, count, of = {}, {}, 0, {}
for at = 7, #ARGV do but[ARGV[at]] = true end
local time = redis.call('TIME')
local now = tonumber(time[1]) + tonumber(time[2]) / 1e6

local function lane_of(name, at)
  return {name = name, ready = KEYS[at], out = KEYS[at + 1], slots = KEYS[at + 2],
    room = KEYS[at + 3], going = KEYS[at + 4], full = KEYS[at + 5]}
end
local lanes = {lane_of('transactional', 8), lane_of('bulk', 14)}

local function number(key, field) return tonumber(redis.call('HGET', key, field) or '') or 0 end

local function ask_again(lane, account)
  redis.call('ZADD', lane.ready, 'NX', number(spent, account .. '|' .. lane.name), account)
end

local function end_holds()
  for _, clock in ipairs(redis.call('ZRANGEBYSCORE', held, '-inf', now, 'LIMIT', 0, 100)) do
    local account, name = string.match(clock, '^(.*)|(.*)$')
    redis.call('ZREM', held, clock)
    ask_again(name == 'bulk' and lanes[2] or lanes[1], account)
  end
end

-- Reckoned anew once the first announcement lapses, or when a worker came, went or changed: n is
-- the workers and their accounts, every ten seconds or so. Returns slots of all, and for any account.
local function room_of(lane)
  local known = redis.call('HMGET', lane.room, 'until', 'all', 'any')
  if (tonumber(known[1] or '') or 0) >= now then return tonumber(known[2]), tonumber(known[3]) end
  local all, any, till, slots_of = 0, 0, now + 10, {}
  local workers = redis.call('HGETALL', lane.slots)
  for i = 1, #workers, 2 do
    local slots, lapses, serving = string.match(workers[i + 1], '^(%d+)|([%d%.]+)|?(.*)$')
    if tonumber(lapses) < now then
      redis.call('HDEL', lane.slots, workers[i])
    else
      all, till = all + tonumber(slots), math.min(till, tonumber(lapses))
      slots_of[serving] = (slots_of[serving] or 0) + tonumber(slots)
    end
  end
  redis.call('DEL', lane.room)
  for serving, slots in pairs(slots_of) do
    if string.sub(serving, 1, 1) ~= ',' then
      any = any + slots
    else
      for account in string.gmatch(serving, '[^,]+') do redis.call('HINCRBY', lane.room, '=' .. account, slots) end
    end
  end
  redis.call('HSET', lane.room, 'until', till, 'all', all, 'any', any)
  for _, account in ipairs(redis.call('SMEMBERS', lane.full)) do ask_again(lane, account) end
  redis.call('DEL', lane.full)
  return all, any
end

local function lapse(lane)
  for _, member in ipairs(redis.call('ZRANGEBYSCORE', lane.out, '-inf', now, 'LIMIT', 0, 100)) do
    redis.call('ZREM', lane.out, member)
    local account, id = string.match(member, '^([^|]+)|[^|]+|(.*)|[^|]*$')
    for _, field in ipairs({account .. '|' .. lane.name, id}) do
      if redis.call('HINCRBY', lane.going, field, -1) <= 0 then redis.call('HDEL', lane.going, field) end
    end
    ask_again(lane, account)
  end
end

-- Returns the mailing whose turn it is, or nil and whether one was passed by for this call only.
local function first_of(lane, clock, own)
  local limit, passed = number(limits, clock), false
  local first = redis.call('ZRANGEBYLEX', line, '[' .. clock .. '|', '(' .. clock .. '}', 'LIMIT', 0, LOOK_AT)
  for _, member in ipairs(first) do
    local turn, id = string.match(member, '^([%d%.]+)|(.*)$', #clock + 2)
    if but[id] or (of[id] or 0) >= each then
      passed = true
    elseif limit <= 0 or own < limit or (own < 2 * limit and redis.call('HEXISTS', lane.going, id) == 0) then
      return {id = id, turn = turn, member = member}
    end
  end
  return nil, passed, #first
end

local function pick(lane, account, clock, one, seconds)
  count = count + 1
  of[one.id] = (of[one.id] or 0) + 1
  local route = redis.call('HGET', routes, one.id) or ''
  local weight, size = string.match(route, '|([%d%.]+)|(%d+)$')
  local later = string.format('%023.6f', tonumber(one.turn) + (tonumber(size) or 500) / (tonumber(weight) or 1))
  redis.call('ZREM', line, one.member)
  redis.call('ZADD', line, 0, clock .. '|' .. later .. '|' .. one.id)
  redis.call('HSET', clocks, one.id, later, clock, one.turn)
  -- One that was away starts where the others are: being away earns no turns.
  local start = math.max(tonumber(seconds), number(spent, lane.name))
  redis.call('HSET', spent, lane.name, start, clock, start + 1)
  redis.call('ZADD', lane.ready, start + 1, account)
  local member = clock .. '|' .. one.id .. '|' .. ticket .. '.' .. count
  redis.call('ZADD', lane.out, now + lives, member)
  redis.call('HINCRBY', lane.going, clock, 1)
  redis.call('HINCRBY', lane.going, one.id, 1)
  for _, part in ipairs({one.id, member, redis.call('HGET', wakes, one.id) or '', route}) do table.insert(picked, part) end
end

local function fill(lane)
  if redis.call('EXISTS', lane.ready, lane.full) == 0 then return end
  local all, any = room_of(lane)
  lapse(lane)
  local taken = redis.call('ZCARD', lane.out)
  if taken == 0 then redis.call('DEL', lane.going) end
  local free, passed = math.ceil(all * window) - taken, 0
  while free > 0 and count < most and passed < LOOK_AT do
    local account, seconds = unpack(redis.call('ZRANGE', lane.ready, passed, passed, 'WITHSCORES'))
    if not account then return end
    local clock = account .. '|' .. lane.name
    local own = number(lane.going, clock)
    if serves ~= '*' and not string.find(serves, ',' .. account .. ',', 1, true) then
      passed = passed + 1
    elseif redis.call('ZSCORE', held, clock) then
      redis.call('ZREM', lane.ready, account)
    elseif math.ceil((any + number(lane.room, '=' .. account)) * window) <= own then
      redis.call('ZREM', lane.ready, account)
      redis.call('SADD', lane.full, account)
    else
      local one, but_one, looked = first_of(lane, clock, own)
      if one then
        pick(lane, account, clock, one, seconds)
        free = free - 1
      elseif but_one then
        passed = passed + 1
      else
        redis.call('ZREM', lane.ready, account)
        if looked > 0 then redis.call('SADD', lane.full, account) end
      end
    end
  end
end

end_holds()
for _, lane in ipairs(lanes) do fill(lane) end
return picked
