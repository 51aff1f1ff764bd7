-- throttle_budget: SES refused for the rate: let its own bucket refill, and ask less of it.
-- Either too much went at once: then its bucket holds what it took of that, and less is to go at
-- once from now on. Or others use the rate, as when little went at once: then the rate is cut.
-- Which it is shows by trying: who sends less at once and is soon refused, when SES took less than
-- before, has a rate that others use, and gets back what went at once. Calls in flight are refused
-- together: one step a second.
-- KEYS[1]  budget, a hash     KEYS[2]  log, a hash     ARGV  factor, recipients refused, recipients that were drawn from
--          SES's bucket with the refused call, those included (0: not known)
-- Returns  the rate allowed now, as a string
local LOWEST_SHARE = 0.05
-- A call each 20 ms: smaller ones cost more than they spare, and come no more evenly than that.
local LEAST_BURST, JITTER_SECONDS = 0.02, 0.02
-- The bucket overfills by a call: half of what SES took is held, and a fifth less for the network.
local SHARE, SHRINK = 0.4, 0.8
-- Soon, and the same as before but for the network.
local SOON_SECONDS, SAME = 20, 0.9
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
local soon = has.throttled_at and number('unrefused_seconds', 0) < SOON_SECONDS
local taken = math.max(1, drawn - refused)
local since = now - number('throttled_at', 0)
redis.call('HINCRBY', budget, 'throttled', refused)
if since < 1 then return tostring(rate) end
log_event(KEYS[2], 'throttled', '', '')

local elapsed = math.max(0, now - number('at', now))
local tokens = math.min(0, number('tokens', 0))
rate = math.min(rate_max, rate + number('increase', 0) * rate_max * elapsed)
local fewer = taken + JITTER_SECONDS * rate_max < SAME * number('ses_burst', 0) * rate_max
-- What goes at once at the least can be no less.
local several = drawn > math.max(1, LEAST_BURST * rate_max) and rate * burst > 1

if several and (not soon or (burst > LEAST_BURST and not fewer)) then
  if not soon then redis.call('HSET', budget, 'burst_before', burst) end
  burst = math.max(LEAST_BURST, math.min(SHRINK * burst, SHARE * taken / rate_max))
  redis.call('HSET', budget, 'ses_burst', taken / rate_max)
  tokens = tokens - math.min(taken, rate_max / 2)
else
  rate = math.max(rate * factor, math.min(rate_max, math.max(rate_max * LOWEST_SHARE, 0.5)))
  if soon and fewer then
    burst = math.max(burst, number('burst_before', 0))
    redis.call('HDEL', budget, 'burst_before')
  end
end
redis.call('HSET', budget, 'rate', rate, 'tokens', tokens, 'learned_burst', burst, 'unrefused_seconds', 0,
  'drawn', math.max(0, number('drawn', 0) - rate_max * elapsed),
  'throttled_at', string.format('%.3f', now), 'at', string.format('%.6f', now))
return tostring(rate)
