-- begin_call: write `sending` for the recipients of one call, and renew the lease. This is the
-- last gate before SES: a pause, a halt or another worker's claim that came first is seen here.
-- KEYS[1] campaign   KEYS[2] ledger   KEYS[3] leases   KEYS[4] due
-- ARGV     batch, fence, lease seconds, then runs of recipients: start, length, start, length, ...
-- Returns  'BEGUN' · 'LOST' · 'STOPPED'
local campaign, ledger, leases, due = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local n, fence, lease = ARGV[1], ARGV[2], tonumber(ARGV[3])

local time = redis.call('TIME')
local now = tonumber(time[1]) + tonumber(time[2]) / 1e6
local record = redis.call('HGET', leases, n)
local holds, rest = string.match(record or '', '^(%d+)|[%d%.]*|(.*)$')
if holds ~= fence then return 'LOST' end
local has = redis.call('HMGET', campaign, 'batch_size', 'steer', 'halted', 'not_after', 'started_at')
local stopped = (has[2] or '') ~= '' or (has[3] or '') ~= ''
if not stopped and (tonumber(has[4] or '') or now + 1) <= now then
  redis.call('HSET', campaign, 'steer', 'expired')
  stopped = true
end

-- What is `sending` already, under this very fence, is a repeat of this script whose reply was
-- lost: its call never left, so when the campaign was stopped in between it is undone.
local offset, moved, runs = tonumber(n) * tonumber(has[1]), 0, {}
for i = 4, #ARGV, 2 do
  local from, length = offset + tonumber(ARGV[i]), tonumber(ARGV[i + 1])
  local states = redis.call('GETRANGE', ledger, from, from + length - 1)
  if not stopped and (string.find(states, '[^ps]') or #states ~= length) then return 'LOST' end
  local written, changed = string.gsub(states, stopped and 's' or 'p', stopped and 'p' or 's')
  table.insert(runs, {from, written})
  moved = moved + changed
end
if moved > 0 then
  for _, run in ipairs(runs) do redis.call('SETRANGE', ledger, run[1], run[2]) end
  redis.call('HINCRBY', campaign, 'pending', stopped and moved or -moved)
  redis.call('HINCRBY', campaign, 'sending', stopped and -moved or moved)
end
if stopped then return 'STOPPED' end

if (has[5] or '') == '' then redis.call('HSET', campaign, 'started_at', string.format('%.3f', now)) end
local lapses = string.format('%.3f', now + lease)
redis.call('HSET', leases, n, fence .. '|' .. lapses .. '|' .. rest)
redis.call('ZADD', due, lapses, n)
return 'BEGUN'
