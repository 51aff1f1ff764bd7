-- announce_producer: a producer says that it is there; who has long not said so is forgotten.
-- KEYS[1] producers
-- ARGV     producer, seconds until it lapses, what there is to know of it
-- Returns  how many producers are there
local producers = KEYS[1]
local time = redis.call('TIME')
local now = tonumber(time[1]) + tonumber(time[2]) / 1e6
redis.call('HSET', producers, ARGV[1], string.format('%.3f', now + tonumber(ARGV[2])) .. '|' .. ARGV[3])
local all = redis.call('HGETALL', producers)
for i = 1, #all, 2 do
  if tonumber(string.match(all[i + 1], '^[%d%.]+')) <= now then redis.call('HDEL', producers, all[i]) end
end
return redis.call('HLEN', producers)
