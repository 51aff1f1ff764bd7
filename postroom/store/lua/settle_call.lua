-- settle_call: write the outcome of each recipient of a call. Only `sending` moves, so a repeat
-- changes nothing; a worker whose fence is old changes nothing either.
-- KEYS[1] campaign   KEYS[2] ledger   KEYS[3] leases   KEYS[4] reasons   KEYS[5] marks: of a
--          segment, where the moment of each outcome is written beside the hash of its address
-- ARGV     batch, fence, how many reasons, the reasons, then runs of outcomes: start, bytes,
--          start, bytes, ... (byte 128 + k stands for the k-th reason, k from 0)
-- Returns  {'SETTLED', recipients of the campaign still open} · {'LOST'}
-- Two samples of what was accepted are kept, ten seconds and more apart: the rate of the last
-- seconds is read off them. After a silence they begin anew, so that no pause slows it down.
local FIRST_REASON, LAST_REASON = 128, 255
local MARK = 12  -- Bytes: 8 of the address, 4 of the moment.
local SAMPLE_SECONDS, SILENCE_SECONDS = 10, 30
local NAMES = {p = 'pending', a = 'accepted', x = 'suppressed', u = 'ambiguous', c = 'cancelled', e = 'expired'}
local campaign, ledger, leases, reasons = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local n, fence, given = ARGV[1], ARGV[2], tonumber(ARGV[3])

local record = redis.call('HGET', leases, n) or ''
local holds, lease, crashes, parks = string.match(record, '^(%d+)|([^|]*|[^|]*)|(%d+)|(%d+)$')
if holds ~= fence then return {'LOST'} end

local numbers = {}
for k = 1, given do
  local reason = ARGV[3 + k]
  local number = tonumber(redis.call('HGET', reasons, reason) or '')
  if not number then
    number = FIRST_REASON + redis.call('HLEN', reasons)
    if number >= LAST_REASON then number, reason = LAST_REASON, 'other reasons' end
    redis.call('HSET', reasons, reason, number)
  end
  numbers[k] = string.char(number)
end

local has = redis.call('HMGET', campaign, 'batch_size', 'steer')
local again = has[2] == 'cancelled' and 'c' or has[2] == 'expired' and 'e' or 'p'
local offset, moved, counts = tonumber(n) * tonumber(has[1]), 0, {}
for i = 4 + given, #ARGV, 2 do
  local from, outcomes = offset + tonumber(ARGV[i]), ARGV[i + 1]
  local states, written = redis.call('GETRANGE', ledger, from, from + #outcomes - 1), {}
  for at = 1, #outcomes do
    local code = string.sub(states, at, at)
    if code == 's' then
      code = string.sub(outcomes, at, at)
      if code == 'p' then code = again end
      local name = NAMES[code]
      if not name then
        name, code = 'rejected', numbers[string.byte(code) - FIRST_REASON + 1]
      end
      counts[name] = (counts[name] or 0) + 1
      moved = moved + 1
    end
    written[at] = code
  end
  redis.call('SETRANGE', ledger, from, table.concat(written))
  if KEYS[5] then
    local moment = struct.pack('>I4', tonumber(redis.call('TIME')[1]))
    for at = 1, #outcomes do redis.call('SETRANGE', KEYS[5], (from + at - 1) * MARK + MARK - 4, moment) end
  end
end
if moved > 0 then redis.call('HINCRBY', campaign, 'sending', -moved) end
for name, count in pairs(counts) do redis.call('HINCRBY', campaign, name, count) end
if crashes ~= '0' and moved > (counts.pending or 0) then
  -- A batch that gets on is not what its workers died of.
  redis.call('HSET', leases, n, fence .. '|' .. lease .. '|0|' .. parks)
end

local books = redis.call('HMGET', campaign, 'pending', 'sending', 'accepted', 'sample', 'total')
if counts.accepted and tonumber(books[5]) > 1 then
  local time = redis.call('TIME')
  local now = tonumber(time[1]) + math.floor(tonumber(time[2]) / 1000) / 1000
  local sample = string.format('%.3f|%d', now, books[3])
  local last = string.match(books[4] or '', '[^ ]+$')
  local age = now - (tonumber(string.match(last or '', '^[%d%.]+') or '') or 0)
  if age > SILENCE_SECONDS then last = sample end
  if age >= SAMPLE_SECONDS then redis.call('HSET', campaign, 'sample', last .. ' ' .. sample) end
end
return {'SETTLED', (tonumber(books[1] or '') or 0) + (tonumber(books[2] or '') or 0)}
