-- take_budget: grant up to `wanted` recipients from the token bucket and the rolling quota at once.
-- Waiters stand in one line, transactional before bulk, then in turns by what their campaigns
-- were granted for their weight, and are told when to come back: nobody polls, nobody starves,
-- and a campaign with many waiters gets no more than one with few. While somebody is in line the
-- bucket may overfill by the first one's call, so that coming back a moment late costs no rate.
-- KEYS[1]  budget, a hash (see store/budget.py)     KEYS[2]  window, a hash slice -> recipients
-- KEYS[3]  line, a sorted set of waiters            KEYS[4]  asks, a hash waiter ->
--          recipients wanted|SendBulkEmail requests|when it was told to come back|weight|campaign
-- KEYS[5]  served, a hash campaign -> recipients granted, divided by its weight
-- KEYS[6]  grants, a hash stamp (slice.number) -> recipients granted, until settled
-- ARGV     waiter, wanted, lane (0 transactional, 1 bulk), SendBulkEmail requests (0 or 1),
--          longest wait in ms that is worth standing in line for, weight, campaign
-- Returns  {granted, ms to wait, why (rate, requests, quota, halted, paused, unknown), stamp or detail,
--          recipients that the bucket can hold}. An error for a weight that is not above 0
local LATE_SECONDS = 1
local SANDBOX_RATE, EARLY_SECONDS = 1.25, 0.03
local MOST_SERVED, SERVED_SECONDS = 256, 3600
local budget, window, line, asks, served = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
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

local function leave()
  redis.call('ZREM', line, waiter)
  redis.call('HDEL', asks, waiter)
end

if (has.halted or '') ~= '' then leave() return {0, 1000, 'halted', has.halted, 0} end
if (has.paused or '') ~= '' then leave() return {0, 1000, 'paused', 'paused by a person', 0} end
-- The hold that follows ends as soon as SES has told.
if not has.rate_max then leave() return {0, 10000, 'unknown', '', 0} end

-- Start-time fair queueing: a call starts where its campaign's last one ended, but never before
-- what is being served now, so being away earns nothing. Messages are all one campaign.
local served_now, ends = number('served_now', 0), {}
local function start_of(of_lane, of, size, of_weight)
  if of_lane == 0 then of = '' end
  local stored = of ~= '' and redis.call('HGET', served, of) or ''
  local start = ends[of] or math.max(served_now, tonumber(stored or '') or 0)
  ends[of] = start + size / of_weight
  return start
end

local waiters, me = {}, nil
local standing = redis.call('ZRANGE', line, 0, -1, 'WITHSCORES')
for i = 1, #standing, 2 do
  local name, turn = standing[i], tonumber(standing[i + 1])
  local size, asked, back, of_weight, of =
    string.match(redis.call('HGET', asks, name) or '0|0|0|1|', '^(%d+)|(%d+)|([%d%.]+)|([%d%.]+)|(.*)$')
  if tonumber(back) + LATE_SECONDS < now then
    redis.call('ZREM', line, name)
    redis.call('HDEL', asks, name)
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
local function before(one, other)
  if one.lane ~= other.lane then return one.lane < other.lane end
  if one.start ~= other.start then return one.start < other.start end
  return one.turn < other.turn
end

-- What goes out before me, and how much the first of the line was promised.
local ahead, requests_ahead, first_of_line = 0, 0, nil
for _, one in ipairs(waiters) do
  if not first_of_line or before(one, first_of_line) then first_of_line = one end
  if one ~= me and before(one, me) then
    ahead, requests_ahead = ahead + one.size, requests_ahead + one.asked
  end
end
local promised = first_of_line and first_of_line.size or 0

-- Refill. A clock that was set back refills nothing.
local elapsed = math.max(0, now - number('at', now))
local rate_max = number('rate_max', 0)
local rate = math.min(rate_max, number('rate', rate_max) + number('increase', 0) * rate_max * elapsed)
local holds = math.max(1, rate * number('burst_seconds', 0.25))
-- SES's own bucket holds a second of rate. In the sandbox that is one mail, and what comes early
-- by less than the network's jitter is refused: nothing is made up for there, and a little kept.
local paced = rate <= SANDBOX_RATE and rate / (1 + rate * EARLY_SECONDS) or rate
local fits = math.max(holds, math.min(holds + promised, rate / 2))
local tokens = math.min(fits, number('tokens', 0) + paced * elapsed)
wanted = math.max(1, math.min(wanted, math.floor(holds)))

-- Slices that have wholly left the rolling window count no more.
local slice, span = number('slice_seconds', 300), number('window_seconds', 86400)
local used, first, current = number('used', 0), number('first', 0), math.floor(now / slice)
if used <= 0 then
  redis.call('DEL', window)
  used, first = 0, current
end
first = math.min(first, current)  -- The clock may have been set back.
while used > 0 and first < current and (first + 1) * slice <= now - span do
  used = used - (tonumber(redis.call('HGET', window, first) or '') or 0)
  redis.call('HDEL', window, first)
  first = first + 1
end

local function keep(granted)
  redis.call('HSET', budget, 'rate', rate, 'tokens', tokens - granted, 'at', string.format('%.6f', now),
    'used', used + granted, 'first', first, 'grant', number('grant', 0) + (granted > 0 and 1 or 0))
end

local quota = number('quota', -1)
-- Bulk may use the reserve of the transactional lane for as long as nobody asks for it.
if lane == 0 then redis.call('HSET', budget, 'transactional_at', string.format('%.0f', now)) end
local asked_for = lane == 1 and now - number('transactional_at', -span) < span
local kept = asked_for and number('reserved_quota', 0) or 0
local left = quota < 0 and wanted or math.floor(quota - kept - used - number('foreign', 0))
if left < 1 then
  keep(0)
  leave()
  local wait = number('refresh_seconds', 30)
  if used >= 1 - left then  -- Else others must free it first, and only SES knows when.
    local need, freed, at = math.min(wanted - left, used), 0, first
    while freed < need and at <= current do
      freed = freed + (tonumber(redis.call('HGET', window, at) or '') or 0)
      at = at + 1
    end
    wait = at * slice + span - now
  end
  return {0, math.max(1, math.ceil(wait * 1000)), 'quota', '', math.floor(holds)}
end
wanted = math.min(wanted, left)

local wait, why = number('refresh_seconds', 30), 'rate'
if rate > 0 then wait = (ahead + wanted - tokens) / paced end
local request_rate = number('request_rate', 0)
local request_tokens = 1
if requests > 0 and request_rate > 0 then
  local since = math.max(0, now - number('request_at', 0))
  request_tokens = math.min(math.max(1, request_rate * number('burst_seconds', 0.25)),
    number('request_tokens', 0) + request_rate * since)
  local request_wait = (requests_ahead + 1 - request_tokens) / request_rate
  if request_wait > wait then wait, why = request_wait, 'requests' end
end

if wait > 0 then
  keep(0)
  local ms = math.max(1, math.ceil(wait * 1000))
  if ms > max_wait then
    leave()
  else
    if me.turn == (lane + 1) * 1e15 then
      redis.call('ZADD', line, lane * 1e15 + redis.call('HINCRBY', budget, 'turn', 1), waiter)
    end
    redis.call('HSET', asks, waiter,
      string.format('%d|%d|%.3f|%s|%s', wanted, requests, now + wait, ARGV[6], campaign))
  end
  return {0, ms, why, '', math.floor(holds)}
end

leave()
keep(wanted)
if lane == 1 then
  -- The first of several waiters of one campaign may come back last: its start counts.
  local start = math.max(served_now, tonumber(redis.call('HGET', served, campaign) or '') or 0)
  redis.call('HSET', served, campaign, start + wanted / weight)
  redis.call('EXPIRE', served, SERVED_SECONDS)
  redis.call('HSET', budget, 'served_now', start)
  if redis.call('HLEN', served) > MOST_SERVED then
    local all = redis.call('HGETALL', served)
    for i = 1, #all, 2 do
      if tonumber(all[i + 1]) <= start then redis.call('HDEL', served, all[i]) end
    end
  end
end
if requests > 0 and request_rate > 0 then
  redis.call('HSET', budget, 'request_tokens', request_tokens - 1, 'request_at', string.format('%.6f', now))
end
redis.call('HINCRBY', window, current, wanted)
-- Whoever dies before he settles leaves this behind: see observe_account.
local stamp = string.format('%d.%d', current, number('grant', 0) + 1)
redis.call('HSET', KEYS[6], stamp, wanted)
return {wanted, 0, '', stamp, math.floor(holds)}
