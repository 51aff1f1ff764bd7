-- observe_account: keep the budget true to what SES says of the account.
-- What SES counts beyond our own window was sent by others on the account (`foreign`).
-- Grants that nobody settled in time are those of the dead: they are given back as far as SES
-- counts less than we do. Compared is only what both must have counted by now: slices that lie
-- within SES's window from their beginning and ended before the youngest grant in use was made.
-- KEYS[1]  budget, a hash     KEYS[2]  window, a hash slice -> recipients
-- KEYS[3]  grants, a hash stamp (slice.number) -> recipients
-- ARGV     rate, quota (-1: none), sent in the window as SES says (-1: unknown), window seconds,
--          slice seconds, burst seconds, increase a second, requests a second (0: no limit),
--          refresh seconds, reserved share of the quota, sent in the window by whomever as SES
--          says (-1: unknown), seconds after which a grant is not in use any more
-- Returns  {1 when more may be sent than before, else 0; recipients of others in the window}
local budget, window, grants = KEYS[1], KEYS[2], KEYS[3]
local rate_max, quota, sent = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local span, slice = tonumber(ARGV[4]), tonumber(ARGV[5])
local ses_counts, grant_lives = tonumber(ARGV[11]), tonumber(ARGV[12])

local time = redis.call('TIME')
local now = tonumber(time[1]) + tonumber(time[2]) / 1e6
local has = redis.call('HMGET', budget, 'rate', 'rate_max', 'quota', 'used', 'foreign', 'slice_seconds', 'first',
  'burst_seconds')
local rate, old_max = tonumber(has[1] or ''), tonumber(has[2] or '')
local old_quota, used = tonumber(has[3] or ''), tonumber(has[4] or '') or 0
local old_foreign, first = tonumber(has[5] or '') or 0, tonumber(has[7] or '') or 0

local function in_window(at) return tonumber(redis.call('HGET', window, at) or '') or 0 end

local function counted_by_now()
  local counted, at = 0, math.ceil((now - span) / slice)
  while (at + 1) * slice <= now - grant_lives do
    counted, at = counted + in_window(at), at + 1
  end
  return counted
end

local function given_back()
  local given, spare = 0, nil
  local outstanding = redis.call('HGETALL', grants)
  for i = 1, #outstanding, 2 do
    local stamp, recipients = outstanding[i], tonumber(outstanding[i + 1])
    local at = tonumber(string.match(stamp, '^%d+'))
    if at * slice < now - span then
      redis.call('HDEL', grants, stamp)
    elseif ses_counts >= 0 and (at + 1) * slice <= now - grant_lives then
      spare = spare or counted_by_now() - ses_counts
      local back = math.floor(math.min(recipients, spare - given, in_window(at)))
      if back > 0 then
        given = given + back
        redis.call('HINCRBY', window, at, -back)
        if redis.call('HINCRBY', grants, stamp, -back) == 0 then redis.call('HDEL', grants, stamp) end
      end
    end
  end
  if given > 0 then redis.call('HINCRBYFLOAT', budget, 'used', -given) end
  return given
end

local old_slice = tonumber(has[6] or '')
if old_slice and old_slice ~= slice then
  -- The slices were cut anew: all that was used counts from now, which errs on the safe side.
  redis.call('DEL', window, grants)
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

local given = given_back()
used = used - given

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
if tonumber(has[8] or '') ~= tonumber(ARGV[6]) then redis.call('HDEL', budget, 'learned_burst') end

local more = not old_max or rate_max > old_max or foreign < old_foreign or given > 0
  or (old_quota ~= quota and (quota < 0 or (old_quota and old_quota >= 0 and quota > old_quota)))
return {more and 1 or 0, foreign}
