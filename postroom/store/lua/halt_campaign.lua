-- halt_campaign: stop a campaign until a person resumes it. The first reason stands.
-- KEYS[1] campaign   ARGV  reason
-- Returns  1 when this halted it, else 0
local has = redis.call('HMGET', KEYS[1], 'batch_size', 'halted', 'finished_at')
if not has[1] or (has[2] or '') ~= '' or (has[3] or '') ~= '' then return 0 end
redis.call('HSET', KEYS[1], 'halted', ARGV[1])
log_event(KEYS[1], 'halted', '', ARGV[1])
return 1
