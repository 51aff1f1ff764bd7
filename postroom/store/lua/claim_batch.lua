-- claim_batch: lease one batch to one worker, under a new fence. A lease that lapsed is settled
-- first: what its worker was sending becomes ambiguous, or pending again under `resend`.
-- KEYS[1] campaign   KEYS[2] batches   KEYS[3] ledger   KEYS[4] leases   KEYS[5] due
-- KEYS[6] extents   KEYS[7] contents: of a segment
-- ARGV     batch, owner, lease seconds, crashes that a batch may cause
-- Returns  {'CLAIMED', fence, parks, ledger bytes, recipients, what the sender is bound to,
--          now in Unix seconds} ·
--          {'BUSY', ms until it lapses} · {'DONE'} · {'MISSING'} · {'STOPPED', why} · {'POISON', crashes}
local campaign, batches, ledger, leases, due = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local extents, contents = KEYS[6], KEYS[7]
local n, owner, lease = ARGV[1], ARGV[2], tonumber(ARGV[3])

local time = redis.call('TIME')
local now = tonumber(time[1]) + tonumber(time[2]) / 1e6
local stored = redis.call('HGET', batches, n)
if not stored then
  redis.call('ZREM', due, n)
  return {'MISSING'}
end
local has = redis.call('HMGET', campaign, 'batch_size', 'on_ambiguous', 'steer', 'halted', 'send_at', 'not_after', 'bound')
local offset = tonumber(n) * tonumber(has[1])
local size = tonumber(string.match(redis.call('HGET', extents, n) or '', '^%d+') or has[1])
local states = redis.call('GETRANGE', ledger, offset, offset + size - 1)

local record = redis.call('HGET', leases, n)
local _, till, holder, crashes, parks
if record then
  _, till, holder, crashes, parks = string.match(record, '^(%d+)|([%d%.]*)|([^|]*)|(%d+)|(%d+)$')
end
till, crashes, parks = tonumber(till or '') or 0, tonumber(crashes or '') or 0, tonumber(parks or '') or 0
if till > now and holder ~= owner then
  return {'BUSY', math.ceil((till - now) * 1000)}
end
if till == 0 or holder ~= owner then
  local left, sending = string.gsub(states, 's', has[2] == 'resend' and 'p' or 'u')
  if sending > 0 then
    states = left
    redis.call('SETRANGE', ledger, offset, states)
    redis.call('HINCRBY', campaign, 'sending', -sending)
    redis.call('HINCRBY', campaign, has[2] == 'resend' and 'pending' or 'ambiguous', sending)
  end
  if till > 0 then crashes = crashes + 1 end
end

-- Whoever ends what stops the campaign must not wait for the grace of this batch's release.
local function let_go(reply)
  if record then redis.call('HSET', leases, n, '0|||' .. crashes .. '|' .. parks) end
  redis.call('ZADD', due, 'XX', 'LT', string.format('%.6f', now), n)
  return reply
end
if not string.find(states, 'p', 1, true) then
  redis.call('ZREM', due, n)
  redis.call('HDEL', leases, n)
  drop_texts(n, batches, extents, contents)
  return {'DONE'}
end
if (has[3] or '') ~= '' then return let_go({'STOPPED', has[3]}) end
if (has[4] or '') ~= '' then return let_go({'STOPPED', 'halted'}) end
if (tonumber(has[5] or '') or 0) > now then return let_go({'STOPPED', 'scheduled'}) end
if (tonumber(has[6] or '') or now + 1) <= now then
  redis.call('HSET', campaign, 'steer', 'expired')
  return let_go({'STOPPED', 'expired'})
end
if crashes >= tonumber(ARGV[4]) then
  local reply = {'POISON', crashes}
  crashes = 0  -- The campaign halts; a person who resumes it wants the batch tried again.
  -- New messages need not wait for that person: they go into the next segment.
  if redis.call('HEXISTS', campaign, 'open') == 1 then redis.call('HSET', campaign, 'open', 0) end
  return let_go(reply)
end

-- Never the same twice, also when Redis came back from an older file and forgot the last ones:
-- so the clock, and the counter for a clock that was set back.
local last = tonumber(redis.call('HGET', campaign, 'fence') or '') or 0
local fence = math.max(last + 1, tonumber(time[1]) * 1e6 + tonumber(time[2]))
local mark = string.format('%.0f', fence)
local lapses = string.format('%.3f', now + lease)
redis.call('HSET', campaign, 'fence', mark)
redis.call('HSET', leases, n, mark .. '|' .. lapses .. '|' .. owner .. '|' .. crashes .. '|' .. parks)
redis.call('ZADD', due, lapses, n)
return {'CLAIMED', fence, parks, states, stored, has[7] or '', string.format('%.3f', now)}
