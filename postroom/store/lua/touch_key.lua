-- touch_key: show that the submitter who claimed an idempotency key is alive, or has sealed.
-- KEYS[1]  key, a hash {id, digest, touched, sealed}
-- ARGV     campaign id, 1 when its campaign is sealed else ''
-- Returns  1, or 0 when the key is another's
local key, id, sealed = KEYS[1], ARGV[1], ARGV[2]

if redis.call('HGET', key, 'id') ~= id then return 0 end
local time = redis.call('TIME')
local now = string.format('%.3f', tonumber(time[1]) + tonumber(time[2]) / 1e6)
redis.call('HSET', key, 'touched', now, 'sealed', sealed)
if sealed == '1' then redis.call('PERSIST', key) end
return 1
