-- take_budget: grant up to `wanted` recipients from the token bucket and the rolling quota at once.
-- Waiters stand in one line, transactional before bulk, and are told when to come back: nobody
-- polls, nobody starves. While somebody is in line the bucket may overfill by the first one's
-- call, so that coming back a moment late costs no rate.
-- KEYS[1]  budget, a hash (see store/budget.py)     KEYS[2]  window, a hash slice -> recipients
-- KEYS[3]  line, a sorted set of waiters            KEYS[4]  asks, a hash waiter ->
--          recipients wanted|SendBulkEmail requests|when it was told to come back
-- ARGV     waiter, wanted, lane (0 transactional, 1 bulk), SendBulkEmail requests (0 or 1),
--          longest wait in ms that is worth standing in line for
-- Returns  {granted, ms to wait, why (rate, requests, quota, halted, unknown), stamp or detail,
--          recipients that the bucket can hold}
local LATE_SECONDS = 1
local budget, window, line, asks = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local waiter, wanted, lane = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
local requests, max_wait = tonumber(ARGV[4]), tonumber(ARGV[5])

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

if not has.rate_max then leave() return {0, 1000, 'unknown', '', 0} end
if (has.halted or '') ~= '' then leave() return {0, 1000, 'halted', has.halted, 0} end

-- Who stands before me, and how much the first of the line was promised.
local ahead, requests_ahead, promised = 0, 0, 0
local mine = tonumber(redis.call('ZSCORE', line, waiter) or '') or (lane + 1) * 1e15
for _, other in ipairs(redis.call('ZRANGE', line, 0, -1)) do
  local ask = redis.call('HGET', asks, other) or '0|0|0'
  local size, asked, back = string.match(ask, '^(%d+)|(%d+)|([%d%.]+)$')
  if tonumber(back) + LATE_SECONDS < now then
    redis.call('ZREM', line, other)
    redis.call('HDEL', asks, other)
  else
    if promised == 0 then promised = tonumber(size) end
    if other ~= waiter and tonumber(redis.call('ZSCORE', line, other)) < mine then
      ahead, requests_ahead = ahead + tonumber(size), requests_ahead + tonumber(asked)
    end
  end
end

-- Refill. A clock that was set back refills nothing.
local elapsed = math.max(0, now - number('at', now))
local rate_max = number('rate_max', 0)
local rate = math.min(rate_max, number('rate', rate_max) + number('increase', 0) * rate_max * elapsed)
local holds = math.max(1, rate * number('burst_seconds', 0.25))
local tokens = math.min(holds + promised, number('tokens', 0) + rate * elapsed)
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
    'used', used + granted, 'first', first)
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
if rate > 0 then wait = (ahead + wanted - tokens) / rate end
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
    if mine == (lane + 1) * 1e15 then
      mine = lane * 1e15 + redis.call('HINCRBY', budget, 'turn', 1)
      redis.call('ZADD', line, mine, waiter)
    end
    redis.call('HSET', asks, waiter, wanted .. '|' .. requests .. '|' .. string.format('%.3f', now + wait))
  end
  return {0, ms, why, '', math.floor(holds)}
end

leave()
keep(wanted)
if requests > 0 and request_rate > 0 then
  redis.call('HSET', budget, 'request_tokens', request_tokens - 1, 'request_at', string.format('%.6f', now))
end
redis.call('HINCRBY', window, current, wanted)
return {wanted, 0, '', tostring(current), math.floor(holds)}
