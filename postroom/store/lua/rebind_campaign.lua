-- rebind_campaign: bind a campaign to another meaning of its sender, if nobody else has meanwhile.
-- KEYS[1] campaign
-- ARGV     mark that it was bound to, mark of the new meaning, the new meaning in plain, by whom
-- Returns  'BOUND' (also when it was before) · 'OVER' · 'CHANGED'
local campaign, was, mark = KEYS[1], ARGV[1], ARGV[2]

local has = redis.call('HMGET', campaign, 'bound', 'steer', 'finished_at')
if not has[3] or has[3] ~= '' or has[2] == 'cancelled' or has[2] == 'expired' then return 'OVER' end
local bound = has[1] or ''
if bound == mark then return 'BOUND' end
if bound ~= was then return 'CHANGED' end
redis.call('HSET', campaign, 'bound', mark, 'means', ARGV[3])
-- A segment takes no more: who still hands in by the old meaning was not asked.
if redis.call('HEXISTS', campaign, 'open') == 1 then redis.call('HSET', campaign, 'open', 0) end
log_event(campaign, 'rebound', ARGV[4], '')
return 'BOUND'
