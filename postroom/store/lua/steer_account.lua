-- steer_account: pause, halt or resume an account. Repeating it changes nothing.
-- KEYS[1] budget, a hash   KEYS[2] log, a hash
-- ARGV     pause | halt | resume, by whom ('': by itself), why it is halted
-- Returns  1 when it changed something, else 0
local budget, log, action, by, why = KEYS[1], KEYS[2], ARGV[1], ARGV[2], ARGV[3]
local has = redis.call('HMGET', budget, 'halted', 'paused')
local halted, paused = has[1] or '', has[2] or ''

if action == 'pause' then
  if paused ~= '' then return 0 end
  redis.call('HSET', budget, 'paused', '1')
  log_event(log, 'paused', by, '')
elseif action == 'halt' then
  if halted == why then return 0 end
  redis.call('HSET', budget, 'halted', why)
  log_event(log, 'halted', by, why)
else
  redis.call('HDEL', budget, 'halted', 'paused')
  if halted == '' and paused == '' then return 0 end
  log_event(log, 'resumed', by, '')
end
return 1
