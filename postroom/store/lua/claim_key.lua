-- claim_key: let one submitter at a time create the campaign of an idempotency key.
-- KEYS[1]  key, a hash {id, digest, touched, sealed}
-- ARGV     campaign id, digest of its content, seconds of silence after which a draft is dead,
--          seconds a key is kept without a sign of life; then, or '' and '': id of a draft known
--          to be dead, and the last sign of life that it was found dead by
-- Returns  {'MINE' · 'SEALED' · 'BUSY' · 'SILENT', then of the one it names: id, digest, touched}
local key, id, digest, silence, keep = KEYS[1], ARGV[1], ARGV[2], tonumber(ARGV[3]), ARGV[4]

local time = redis.call('TIME')
local now = tonumber(time[1]) + tonumber(time[2]) / 1e6
local has = redis.call('HMGET', key, 'id', 'digest', 'touched', 'sealed')
local dead = has[1] == ARGV[5] and has[3] == ARGV[6] and has[4] ~= '1'
if has[1] and not dead then
  local claim = 'SILENT'
  if has[4] == '1' then
    claim = 'SEALED'
  elseif now - tonumber(has[3]) < silence then
    claim = 'BUSY'
  end
  return {claim, has[1], has[2], has[3]}
end
redis.call('HSET', key, 'id', id, 'digest', digest, 'touched', string.format('%.6f', now), 'sealed', '')
redis.call('EXPIRE', key, keep)
return {'MINE', '', '', ''}
