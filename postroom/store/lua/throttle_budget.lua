-- throttle_budget: SES refused for the rate: allow less, and let SES's own bucket refill.
-- Calls in flight at the same moment are refused together, so at most one cut a second.
-- KEYS[1]  budget, a hash     ARGV  factor, recipients refused
-- Returns  the rate allowed now, as a string
local LOWEST_SHARE = 0.05
local budget = KEYS[1]
local factor, refused = tonumber(ARGV[1]), tonumber(ARGV[2])

local time = redis.call('TIME')
local now = tonumber(time[1]) + tonumber(time[2]) / 1e6
local has = redis.call('HMGET', budget, 'rate', 'rate_max', 'throttled_at', 'tokens', 'increase', 'at')
local rate, rate_max = tonumber(has[1] or '') or 0, tonumber(has[2] or '') or 0
redis.call('HINCRBY', budget, 'throttled', refused)
if now - (tonumber(has[3] or '') or 0) >= 1 then
  local since = math.max(0, now - (tonumber(has[6] or '') or now))
  rate = math.min(rate_max, rate + (tonumber(has[5] or '') or 0) * rate_max * since)
  rate = math.max(rate * factor, math.min(rate_max, math.max(rate_max * LOWEST_SHARE, 0.5)))
  redis.call('HSET', budget, 'rate', rate, 'throttled_at', string.format('%.3f', now),
    'at', string.format('%.6f', now), 'tokens', math.min(0, tonumber(has[4] or '') or 0))
end
return tostring(rate)
