-- observe_account: keep the budget true to what SES says of the account.
-- What SES counts beyond our own window was sent by others on the account (`foreign`).
-- KEYS[1]  budget, a hash     KEYS[2]  window, a hash slice -> recipients
-- ARGV     rate, quota (-1: none), sent in the window as SES says (-1: unknown), window seconds,
--          slice seconds, burst seconds, increase a second, requests a second (0: no limit),
--          refresh seconds, reserved share of the quota
-- Returns  {1 when more may be sent than before, else 0; recipients of others in the window}
local budget, window = KEYS[1], KEYS[2]
local rate_max, quota, sent = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local span, slice = tonumber(ARGV[4]), tonumber(ARGV[5])

local time = redis.call('TIME')
local now = tonumber(time[1]) + tonumber(time[2]) / 1e6
local has = redis.call('HMGET', budget, 'rate', 'rate_max', 'quota', 'used', 'foreign', 'slice_seconds', 'first')
local rate, old_max = tonumber(has[1] or ''), tonumber(has[2] or '')
local old_quota, used = tonumber(has[3] or ''), tonumber(has[4] or '') or 0
local old_foreign, first = tonumber(has[5] or '') or 0, tonumber(has[7] or '') or 0

local old_slice = tonumber(has[6] or '')
if old_slice and old_slice ~= slice then
  -- The slices were cut anew: all that was used counts from now, which errs on the safe side.
  redis.call('DEL', window)
  if used > 0 then redis.call('HSET', window, math.floor(now / slice), used) end
  first = math.floor(now / slice)
  redis.call('HSET', budget, 'first', first)
elseif old_slice then
  local at = first
  while used > 0 and at <= math.floor(now / slice) and (at + 1) * slice <= now - span do
    used = used - (tonumber(redis.call('HGET', window, at) or '') or 0)
    at = at + 1
  end
end

-- A rate that was not cut back by throttles follows at once; one that was grows back as ever.
if not rate or not old_max or rate >= old_max or rate > rate_max then rate = rate_max end
local foreign = sent >= 0 and math.max(0, sent - math.max(0, used)) or old_foreign
redis.call('HSET', budget, 'rate', rate, 'rate_max', rate_max, 'quota', quota, 'foreign', foreign,
  'window_seconds', span, 'slice_seconds', slice, 'burst_seconds', ARGV[6], 'increase', ARGV[7],
  'request_rate', ARGV[8], 'refresh_seconds', ARGV[9],
  'reserved_quota', quota > 0 and math.floor(quota * tonumber(ARGV[10])) or 0,
  'facts_at', string.format('%.3f', now))
redis.call('HSETNX', budget, 'at', string.format('%.6f', now))
redis.call('HSETNX', budget, 'tokens', 0)

local more = not old_max or rate_max > old_max or foreign < old_foreign
  or (old_quota ~= quota and (quota < 0 or (old_quota and old_quota >= 0 and quota > old_quota)))
return {more and 1 or 0, foreign}
