-- steer_campaign: pause, resume, cancel or expire a campaign. Repeating it changes nothing.
-- KEYS[1] campaign
-- ARGV     pause | resume | cancel | expire, by whom
-- Returns  'STEERED' · 'UNKNOWN' · 'RECEIVING' · 'UNREADABLE' · 'FINISHED', 'CANCELLED' or
--          'EXPIRED' when it is over and this cannot be done any more
local campaign, action = KEYS[1], ARGV[1]

local has = redis.call('HMGET', campaign, 'sealed_at', 'steer', 'finished_at', 'spec', 'halted')
if not has[1] then return 'UNKNOWN' end
if has[1] == '' then return 'RECEIVING' end
local steer = has[2]
local ends = ({cancel = 'cancelled', expire = 'expired'})[action]
if ends and steer == ends then return 'STEERED' end
if steer == 'cancelled' or steer == 'expired' then return string.upper(steer) end
if has[3] ~= '' then return 'FINISHED' end
if action == 'pause' then
  if steer ~= 'paused' then log_event(campaign, 'paused', ARGV[2], '') end
  redis.call('HSET', campaign, 'steer', 'paused')
elseif action == 'resume' then
  if has[4] == '' then return 'UNREADABLE' end
  if steer ~= '' or (has[5] or '') ~= '' then log_event(campaign, 'resumed', ARGV[2], '') end
  redis.call('HSET', campaign, 'steer', '', 'halted', '')
else
  -- The end of one that expired is told with its books: see finish_campaign.
  if action == 'cancel' then log_event(campaign, 'cancelled', ARGV[2], '') end
  redis.call('HSET', campaign, 'steer', ends)
end
return 'STEERED'
