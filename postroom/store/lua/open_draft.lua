-- open_draft: begin the records of a campaign; they expire unless it is sealed. One that is there
-- stays as it is.
-- KEYS[1] campaign
-- ARGV     seconds a draft is kept, then fields and values
-- Returns  when it was created, Unix seconds
local campaign, keep = KEYS[1], ARGV[1]

local created = redis.call('HGET', campaign, 'created_at')
if created then return created end
local time = redis.call('TIME')
local now = string.format('%.3f', tonumber(time[1]) + tonumber(time[2]) / 1e6)
for i = 2, #ARGV, 2 do redis.call('HSET', campaign, ARGV[i], ARGV[i + 1]) end
redis.call('HSET', campaign, 'created_at', now)
redis.call('EXPIRE', campaign, keep)
return now
