-- end_turn: a released batch has come back: make room, and charge what it really took. Its mailing
-- pays for recipients, its account for the time that it held a slot: that is what the accounts
-- share.
-- KEYS[1] out   KEYS[2] going   KEYS[3] line   KEYS[4] routes   KEYS[5] clocks   KEYS[6] spent
-- KEYS[7] ready
-- ARGV     account|lane|mailing|batch or a ticket, mailing, recipients sent, seconds for which a
--          batch counts as out
-- Returns  1 when the batch was counted as out
local out, going, line, routes, clocks, spent, ready = unpack(KEYS)
local member, id, sent, lives = ARGV[1], ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4])
local lapses = redis.call('ZSCORE', out, member)
if not lapses then return 0 end
local time = redis.call('TIME')
local now = tonumber(time[1]) + tonumber(time[2]) / 1e6

redis.call('ZREM', out, member)
local clock = string.match(member, '^[^|]+|[^|]+')
for _, field in ipairs({clock, id}) do
  if redis.call('HINCRBY', going, field, -1) <= 0 then redis.call('HDEL', going, field) end
end
local took = math.max(0, math.min(lives, now - (tonumber(lapses) - lives)))
-- A pick charges a second ahead.
local paid = redis.call('HINCRBYFLOAT', spent, clock, string.format('%.6f', took - 1))
redis.call('ZADD', ready, paid, string.match(clock, '^[^|]+'))

local turn = redis.call('HGET', clocks, id)
if turn then
  local weight, size = string.match(redis.call('HGET', routes, id) or '', '|([%d%.]+)|(%d+)$')
  local given = (sent - (tonumber(size) or 500)) / (tonumber(weight) or 1)
  local real = string.format('%023.6f', math.max(0, tonumber(turn) + given))
  redis.call('HSET', clocks, id, real)
  if redis.call('ZREM', line, clock .. '|' .. turn .. '|' .. id) == 1 then
    redis.call('ZADD', line, 0, clock .. '|' .. real .. '|' .. id)
  end
end
return 1
