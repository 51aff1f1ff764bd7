-- claim_key: let one submitter at a time create the campaign of an idempotency key.
-- KEYS[1]  key, a hash {id, digest, touched, sealed}
-- ARGV     campaign id, digest of its content, seconds of silence after which a draft is dead,
--          seconds a draft is kept, id of a draft known to be dead (or '')
-- Returns  {'MINE', '', ''} · {'SEALED', id, digest} · {'BUSY', id, digest} · {'SILENT', id, digest}
local key, id, digest, silence, keep, dead = KEYS[1], ARGV[1], ARGV[2], tonumber(ARGV[3]), ARGV[4], ARGV[5]

local time = redis.call('TIME')
local now = tonumber(time[1]) + tonumber(time[2]) / 1e6
local has = redis.call('HMGET', key, 'id', 'digest', 'touched', 'sealed')
if has[1] and has[1] ~= id and has[1] ~= dead then
  if has[4] == '1' then return {'SEALED', has[1], has[2]} end
  if now - tonumber(has[3]) < silence then return {'BUSY', has[1], has[2]} end
  return {'SILENT', has[1], has[2]}
end
redis.call('DEL', key)
redis.call('HSET', key, 'id', id, 'digest', digest, 'touched', string.format('%.3f', now), 'sealed', '')
redis.call('EXPIRE', key, keep)
return {'MINE', '', ''}
