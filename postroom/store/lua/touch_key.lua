-- touch_key: show that the submitter who claimed an idempotency key is alive, or that its
-- campaign is over; and say how long the key is kept from now.
-- KEYS[1]  key, a hash {id, digest, touched, sealed}
-- ARGV     campaign id, 1 when its campaign is known to be sealed else '', seconds (0: for good)
-- Returns  1, or 0 when the key is another's
local key, id, sealed, seconds = KEYS[1], ARGV[1], ARGV[2], tonumber(ARGV[3])

if redis.call('HGET', key, 'id') ~= id then return 0 end
local time = redis.call('TIME')
redis.call('HSET', key, 'touched', string.format('%.6f', tonumber(time[1]) + tonumber(time[2]) / 1e6))
if sealed == '1' then redis.call('HSET', key, 'sealed', '1') end
if seconds > 0 then redis.call('EXPIRE', key, seconds) else redis.call('PERSIST', key) end
return 1
