-- steer_campaign: pause, resume, cancel or expire a campaign. Repeating it changes nothing.
-- KEYS[1] campaign
-- ARGV     pause | resume | cancel | expire
-- Returns  'STEERED' · 'UNKNOWN' · 'RECEIVING' · 'UNREADABLE' · 'FINISHED', 'CANCELLED' or
--          'EXPIRED' when it is over and this cannot be done any more
local campaign, action = KEYS[1], ARGV[1]

local has = redis.call('HMGET', campaign, 'sealed_at', 'steer', 'finished_at', 'spec')
if not has[1] then return 'UNKNOWN' end
if has[1] == '' then return 'RECEIVING' end
local steer = has[2]
local ends = ({cancel = 'cancelled', expire = 'expired'})[action]
if ends and steer == ends then return 'STEERED' end
if steer == 'cancelled' or steer == 'expired' then return string.upper(steer) end
if has[3] ~= '' then return 'FINISHED' end
if action == 'pause' then
  redis.call('HSET', campaign, 'steer', 'paused')
elseif action == 'resume' then
  if has[4] == '' then return 'UNREADABLE' end
  redis.call('HSET', campaign, 'steer', '', 'halted', '')
else
  redis.call('HSET', campaign, 'steer', ends)
end
return 'STEERED'
