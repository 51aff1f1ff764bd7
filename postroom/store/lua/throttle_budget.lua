-- throttle_budget: SES refused for the rate: let its own bucket refill, and ask less of it.
-- Too much may have gone at once: then its bucket holds what it took of that, and less is to go
-- at once. Where that was of no help, or no more than one went, others use the rate: then the
-- rate is cut. Calls in flight at the same moment are refused together: one step a second.
-- KEYS[1]  budget, a hash     ARGV  factor, recipients refused, recipients that were drawn from
--          SES's bucket with the refused call, those included (0: not known)
-- Returns  the rate allowed now, as a string
local LOWEST_SHARE = 0.05
-- A call each 20 ms: smaller ones cost more than they spare.
local LEAST_BURST = 0.02
-- By so much less each time. And the bucket overfills by a call: half of what SES took is held.
local SHRINK = 0.8
-- Who is refused again within this was not helped by a smaller bucket.
local TROUBLE_SECONDS = 20
local budget = KEYS[1]
local factor, refused, drawn = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])

local time = redis.call('TIME')
local now = tonumber(time[1]) + tonumber(time[2]) / 1e6
local raw = redis.call('HGETALL', budget)
local has = {}
for i = 1, #raw, 2 do has[raw[i]] = raw[i + 1] end
local function number(name, default) return tonumber(has[name] or '') or default end

local rate, rate_max = number('rate', 0), number('rate_max', 0)
local burst = number('learned_burst', number('burst_seconds', 0))
local since = now - number('throttled_at', 0)
redis.call('HINCRBY', budget, 'throttled', refused)
if since < 1 then return tostring(rate) end

local elapsed = math.max(0, now - number('at', now))
local tokens = math.min(0, number('tokens', 0))
rate = math.min(rate_max, rate + number('increase', 0) * rate_max * elapsed)
local taken = math.max(1, drawn - refused)
if drawn > 1 and burst > LEAST_BURST and since >= TROUBLE_SECONDS then
  burst = math.max(LEAST_BURST, SHRINK * math.min(burst, taken / 2 / rate_max))
  redis.call('HSET', budget, 'learned_burst', burst)
  tokens = tokens - math.min(taken, rate_max / 2)
else
  rate = math.max(rate * factor, math.min(rate_max, math.max(rate_max * LOWEST_SHARE, 0.5)))
end
redis.call('HSET', budget, 'rate', rate, 'tokens', tokens,
  'drawn', math.max(0, number('drawn', 0) - rate_max * elapsed),
  'throttled_at', string.format('%.3f', now), 'at', string.format('%.6f', now))
return tostring(rate)
