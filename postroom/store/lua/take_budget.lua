-- take_budget: grant up to `wanted` recipients from the token bucket and the rolling quota at once.
-- Waiters stand in one line, transactional before bulk, then in turns by what their campaigns
-- were granted for their weight, and are told when to come back: nobody polls, nobody starves,
-- and a campaign with many waiters gets no more than one with few. While somebody is in line the
-- bucket may overfill by the first one's call, so that coming back a moment late costs no rate.
-- O(log campaigns + waiters); dispatch bounds the waiters.
-- KEYS[1]  budget, a hash (see store/budget.py)     KEYS[2]  window, a hash slice -> recipients
-- KEYS[3]  line, a sorted set of waiters            KEYS[4]  asks, a hash waiter ->
--          recipients wanted|SendBulkEmail requests|when it was told to come back|weight|campaign
-- KEYS[5]  finish tags, a sorted set campaign -> recipients granted, divided by its weight
-- KEYS[6]  grants, a hash stamp (slice.number) -> recipients granted, until settled
-- ARGV     waiter, wanted, lane (0 transactional, 1 bulk), SendBulkEmail requests (0 or 1),
--          longest wait in ms that is worth standing in line for, weight, campaign
-- Returns  {granted, ms to wait, why (rate, requests, quota, halted, paused, unknown), stamp or detail,
--          recipients that the bucket can hold, recipients drawn from SES's own bucket with these}.
--          An error for a weight that is not above 0
local LATE_SECONDS = 1
local SANDBOX_RATE, EARLY_SECONDS = 1.25, 0.03
local FINISH_TAG_SECONDS = 3600
-- At most half a second of rate leaves at once, overfilled or learned: SES's own holds about one.
local MOST_SECONDS = 0.5
-- A SendBulkEmail has 50 entries: where half of that goes, or half of the bucket, it is in use;
-- and after a longer pause than this it was not.
local BULK_CALL, USED_SECONDS = 50, 1
-- A quarter more in 150 seconds without a refusal, twelvefold in 500; a hundredth a second at most.
local GROWTH, GROWING_SECONDS = 2e-5, 500
-- Twice as much in 40 seconds while SES has refused nothing yet, where a call would else be small:
-- below this rate a mail costs by its call, and the bucket of a whole second is hardly filled.
local QUICK_GROWTH, QUICK_RATE = 1e-3, 50
local budget, window, line, asks, finish_tags = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local waiter, wanted, lane = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
local requests, max_wait = tonumber(ARGV[4]), tonumber(ARGV[5])
local weight, campaign = tonumber(ARGV[6]), ARGV[7]
-- Divided by, it would stay in `served_now` of the account and end fairness for all.
if not (weight and weight > 0 and weight < math.huge) then
  return redis.error_reply('no weight to reckon with: ' .. ARGV[6])
end

local time = redis.call('TIME')
local now = tonumber(time[1]) + tonumber(time[2]) / 1e6
local raw = redis.call('HGETALL', budget)
local has = {}
for i = 1, #raw, 2 do has[raw[i]] = raw[i + 1] end
local function number(name, default) return tonumber(has[name] or '') or default end

local function leave(name)
  redis.call('ZREM', line, name)
  redis.call('HDEL', asks, name)
end

local function refuse(ms, why, detail, holds)
  leave(waiter)
  return {0, ms, why, detail, holds, 0}
end

if (has.halted or '') ~= '' then return refuse(1000, 'halted', has.halted, 0) end
if (has.paused or '') ~= '' then return refuse(1000, 'paused', 'paused by a person', 0) end
-- The hold that follows ends as soon as SES has told.
if not has.rate_max then return refuse(10000, 'unknown', '', 0) end

-- Start-time fair queueing: a call starts where its campaign's last one ended, but never before
-- what is being served now, so being away earns nothing. Messages are all one campaign.
local served_now = number('served_now', 0)
local function finish_tag(of)
  return math.max(served_now, tonumber(redis.call('ZSCORE', finish_tags, of) or '') or 0)
end

local ends = {}
local function start_of(of_lane, of, size, of_weight)
  if of_lane == 0 then of = '' end
  local start = ends[of] or (of == '' and served_now or finish_tag(of))
  ends[of] = start + size / of_weight
  return start
end

local function standing()
  local waiters, me = {}, nil
  local names = redis.call('ZRANGE', line, 0, -1, 'WITHSCORES')
  for i = 1, #names, 2 do
    local name, turn = names[i], tonumber(names[i + 1])
    local size, asked, back, of_weight, of =
      string.match(redis.call('HGET', asks, name) or '0|0|0|1|', '^(%d+)|(%d+)|([%d%.]+)|([%d%.]+)|(.*)$')
    if tonumber(back) + LATE_SECONDS < now then
      leave(name)
    else
      local one = {lane = math.floor(turn / 1e15), turn = turn, size = tonumber(size), asked = tonumber(asked)}
      one.start = start_of(one.lane, of, one.size, tonumber(of_weight))
      table.insert(waiters, one)
      if name == waiter then me = one end
    end
  end
  if not me then
    me = {lane = lane, turn = (lane + 1) * 1e15, size = wanted, asked = requests}
    me.start = start_of(lane, campaign, wanted, weight)
  end
  return waiters, me
end

local function before(one, other)
  if one.lane ~= other.lane then return one.lane < other.lane end
  if one.start ~= other.start then return one.start < other.start end
  return one.turn < other.turn
end

-- What goes out before me, and how much the first of the line was promised.
local function ahead_of(me, waiters)
  local ahead, requests_ahead, first = 0, 0, nil
  for _, one in ipairs(waiters) do
    if not first or before(one, first) then first = one end
    if one ~= me and before(one, me) then
      ahead, requests_ahead = ahead + one.size, requests_ahead + one.asked
    end
  end
  return ahead, requests_ahead, first and first.size or 0
end

local waiters, me = standing()
local ahead, requests_ahead, promised = ahead_of(me, waiters)

-- Refill. A clock that was set back refills nothing.
local elapsed = math.max(0, now - number('at', now))
local rate_max = number('rate_max', 0)
local rate = math.min(rate_max, number('rate', rate_max) + number('increase', 0) * rate_max * elapsed)
local set_burst = number('burst_seconds', 0.25)
local burst = number('learned_burst', set_burst)
local holds = math.max(1, rate * burst)
-- SES's own bucket holds a second of rate. In the sandbox that is one mail, and what comes early
-- by less than the network's jitter is refused: nothing is made up for there, and a little kept.
local paced = rate <= SANDBOX_RATE and rate / (1 + rate * EARLY_SECONDS) or rate
local fits = math.max(holds, math.min(holds + promised, rate * MOST_SECONDS))
local tokens = math.min(fits, number('tokens', 0) + paced * elapsed)
local drawn = math.max(0, number('drawn', 0) - rate_max * elapsed)
local is_cut = wanted > holds
wanted = math.max(1, math.min(wanted, math.floor(holds)))

-- Slices that have wholly left the rolling window count no more.
local slice, span = number('slice_seconds', 300), number('window_seconds', 86400)
local current = math.floor(now / slice)
local function in_window(at) return tonumber(redis.call('HGET', window, at) or '') or 0 end
local function aged()
  local used, first = number('used', 0), number('first', 0)
  if used <= 0 then
    redis.call('DEL', window)
    return 0, current
  end
  first = math.min(first, current)  -- The clock may have been set back.
  while used > 0 and first < current and (first + 1) * slice <= now - span do
    used = used - in_window(first)
    redis.call('HDEL', window, first)
    first = first + 1
  end
  return used, first
end
local used, first = aged()

local function keep(granted)
  redis.call('HSET', budget, 'rate', rate, 'tokens', tokens - granted, 'at', string.format('%.6f', now),
    'used', used + granted, 'first', first, 'drawn', drawn + granted,
    'grant', number('grant', 0) + (granted > 0 and 1 or 0))
end

-- Bulk may use the reserve of the transactional lane for as long as nobody asks for it.
local quota = number('quota', -1)
local function quota_left()
  if lane == 0 then redis.call('HSET', budget, 'transactional_at', string.format('%.0f', now)) end
  local asked_for = lane == 1 and now - number('transactional_at', -span) < span
  local kept = asked_for and number('reserved_quota', 0) or 0
  return quota < 0 and wanted or math.floor(quota - kept - used - number('foreign', 0))
end

local function seconds_until_freed(left)
  -- Others must free it first, and only SES knows when.
  if used < 1 - left then return number('refresh_seconds', 30) end
  local need, freed, at = math.min(wanted - left, used), 0, first
  while freed < need and at <= current do
    freed, at = freed + in_window(at), at + 1
  end
  return at * slice + span - now
end

local left = quota_left()
if left < 1 then
  keep(0)
  local ms = math.max(1, math.ceil(seconds_until_freed(left) * 1000))
  return refuse(ms, 'quota', '', math.floor(holds))
end
wanted = math.min(wanted, left)

local request_rate = number('request_rate', 0)
local counts_requests = requests > 0 and request_rate > 0
local function refilled_requests()
  local since = math.max(0, now - number('request_at', 0))
  local fit = math.max(1, request_rate * set_burst)
  return math.min(fit, number('request_tokens', 0) + request_rate * since)
end

local wait, why = number('refresh_seconds', 30), 'rate'
if rate > 0 then wait = (ahead + wanted - tokens) / paced end
local request_tokens = counts_requests and refilled_requests() or 1
if counts_requests then
  local request_wait = (requests_ahead + 1 - request_tokens) / request_rate
  if request_wait > wait then wait, why = request_wait, 'requests' end
end

local function stand_in_line(ms)
  if ms > max_wait then return leave(waiter) end
  if me.turn == (lane + 1) * 1e15 then
    redis.call('ZADD', line, lane * 1e15 + redis.call('HINCRBY', budget, 'turn', 1), waiter)
  end
  redis.call('HSET', asks, waiter,
    string.format('%d|%d|%.3f|%s|%s', wanted, requests, now + wait, ARGV[6], campaign))
end

if wait > 0 then
  keep(0)
  local ms = math.max(1, math.ceil(wait * 1000))
  stand_in_line(ms)
  return {0, ms, why, '', math.floor(holds), 0}
end

-- The first of several waiters of one campaign may come back last: its start counts. A tag that
-- lies behind what is being served says nothing any more.
local function take_turn()
  local start = finish_tag(campaign)
  redis.call('ZADD', finish_tags, start + wanted / weight, campaign)
  redis.call('ZREMRANGEBYSCORE', finish_tags, '-inf', start)
  redis.call('EXPIRE', finish_tags, FINISH_TAG_SECONDS)
  redis.call('HSET', budget, 'served_now', start)
end

-- While the bucket is used, it may grow back; beyond the setting only where it cuts calls short.
local function grow()
  local most = is_cut and math.max(set_burst, MOST_SECONDS) or set_burst
  local used_for = math.min(USED_SECONDS, math.max(0, now - number('granted_at', now)))
  if wanted * 2 < math.min(BULK_CALL, holds) then used_for = 0 end
  local unrefused = number('unrefused_seconds', 0)
  local quick = is_cut and rate < QUICK_RATE and not has.throttled_at
  local growth = quick and QUICK_GROWTH or GROWTH
  local grown = math.min(most, burst * (1 + growth * math.min(unrefused, GROWING_SECONDS) * used_for))
  redis.call('HSET', budget, 'granted_at', string.format('%.6f', now),
    'unrefused_seconds', unrefused + used_for, 'learned_burst', math.max(burst, grown))
end

leave(waiter)
keep(wanted)
grow()
if lane == 1 then take_turn() end
if counts_requests then
  redis.call('HSET', budget, 'request_tokens', request_tokens - 1, 'request_at', string.format('%.6f', now))
end
redis.call('HINCRBY', window, current, wanted)
-- Whoever dies before he settles leaves this behind: see observe_account.
local stamp = string.format('%d.%d', current, number('grant', 0) + 1)
redis.call('HSET', KEYS[6], stamp, wanted)
return {wanted, 0, '', stamp, math.floor(holds), math.floor(drawn + wanted + 0.5)}
