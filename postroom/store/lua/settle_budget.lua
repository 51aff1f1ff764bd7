-- settle_budget: after a call, date what SES counted to the moment of its answer, and give back
-- the rest. SES counts a mail when it accepts it, so dating it to the answer keeps it in our
-- window for at least as long as in SES's.
-- A grant that is not known any more was settled, or given back after its time: what SES counted
-- is added, and nothing taken off.
-- KEYS[1]  budget, a hash     KEYS[2]  window, a hash slice -> recipients
-- KEYS[3]  grants, a hash stamp (slice.number) -> recipients
-- KEYS[4]  totals, a hash      KEYS[5]  ring, a string: see shared/count_outcomes.lua
-- ARGV     stamp of the grant, counted by SES, never sent, then what the call brought: names and
--          numbers in turn
-- Returns  recipients used in the window
local budget, window, grants = KEYS[1], KEYS[2], KEYS[3]
local stamp, counted, unsent = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])

local time = redis.call('TIME')
local now = tonumber(time[1]) + tonumber(time[2]) / 1e6
local has = redis.call('HMGET', budget, 'used', 'first', 'slice_seconds', 'tokens', 'rate', 'burst_seconds',
  'learned_burst', 'drawn')
local used, first = tonumber(has[1] or '') or 0, tonumber(has[2] or '') or 0
local current = math.floor(now / (tonumber(has[3] or '') or 300))
local granted = tonumber(redis.call('HGET', grants, stamp) or '') or 0
local slice = tonumber(string.match(stamp, '^%d+'))

if redis.call('HDEL', grants, stamp) == 0 then
  unsent = 0
elseif slice >= first then
  local there = tonumber(redis.call('HGET', window, slice) or '') or 0
  local taken = math.min(granted, there)
  if taken > 0 then redis.call('HINCRBY', window, slice, -taken) end
  used = used - taken
end
if counted > 0 then
  redis.call('HINCRBY', window, current, counted)
  used = used + counted
end
-- What SES did not take has drawn nothing from its bucket.
local drawn = math.max(0, (tonumber(has[8] or '') or 0) - math.max(0, granted - counted))
redis.call('HSET', budget, 'used', used, 'drawn', drawn)
if unsent > 0 then
  local burst = tonumber(has[7] or '') or tonumber(has[6] or '') or 0
  local holds = math.max(1, (tonumber(has[5] or '') or 0) * burst)
  local tokens = tonumber(has[4] or '') or 0
  redis.call('HSET', budget, 'tokens', math.max(tokens, math.min(holds, tokens + unsent)))
end
count_outcomes(KEYS[4], KEYS[5], now, tonumber(has[5] or '') or 0, {unpack(ARGV, 4)})
return used
