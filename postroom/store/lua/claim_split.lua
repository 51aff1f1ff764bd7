-- claim_split: lease the splitting of one campaign to one producer, under a new fence.
-- KEYS[1] campaign   KEYS[2] rows
-- ARGV     owner, lease seconds, account of the campaign's sender, leases in a row that may lapse
--          before the campaign is halted, why it is halted then; what the sender means to this
--          producer: its mark ('': it does not know it) and in plain. The first to claim binds it
-- Returns  {'CLAIMED', fence, batches written, rows noted, trail of their addresses} · {'BUSY'} ·
--          {'NOTHING'} when there is nothing to split: no such campaign, not sealed, split
--          already, over, or halted · {'HALTED'} by this very claim
local campaign, rows = KEYS[1], KEYS[2]

local time = redis.call('TIME')
local now = tonumber(time[1]) + tonumber(time[2]) / 1e6
local has = redis.call('HMGET', campaign, 'sealed_at', 'split', 'steer', 'halted', 'finished_at', 'split_owner', 'split_until', 'batches', 'trail', 'split_crashes', 'bound')
if (has[1] or '') == '' or has[2] == '1' or has[4] ~= '' or has[5] ~= '' then return {'NOTHING'} end
if has[3] == 'cancelled' or has[3] == 'expired' then return {'NOTHING'} end
if (has[6] or '') ~= '' and has[6] ~= ARGV[1] and tonumber(has[7]) > now then return {'BUSY'} end
if (has[6] or '') ~= '' and has[6] ~= ARGV[1] then
  local crashes = (tonumber(has[10] or '') or 0) + 1
  redis.call('HSET', campaign, 'split_crashes', crashes)
  if crashes >= tonumber(ARGV[4]) then
    -- A person who resumes it wants the split tried again.
    redis.call('HSET', campaign, 'halted', ARGV[5], 'split_owner', '', 'split_crashes', 0)
    log_event(campaign, 'halted', '', ARGV[5])
    return {'HALTED'}
  end
end
local fence = redis.call('HINCRBY', campaign, 'split_fence', 1)
redis.call('HSET', campaign, 'split_owner', ARGV[1], 'split_until', string.format('%.3f', now + tonumber(ARGV[2])))
if (has[11] or '') == '' then
  redis.call('HSET', campaign, 'account', ARGV[3], 'bound', ARGV[6], 'means', ARGV[7])
end
return {'CLAIMED', fence, tonumber(has[8] or '0'), redis.call('LLEN', rows), has[9] or ''}
