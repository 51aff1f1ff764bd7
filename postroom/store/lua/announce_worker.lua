-- announce_worker: a worker says that it is there, how many batches it can take in each lane, and
-- for which accounts. All of it lapses by itself.
-- KEYS[1] workers   KEYS[2], KEYS[3] slots and room of a lane, and so on for each lane
-- ARGV     worker, seconds until it lapses, accounts it serves (',a,b,' or '*' for all), what else
--          there is to know of it, then slots in each lane
-- Returns  when it lapses, in Unix seconds, as a string
local workers, worker = KEYS[1], ARGV[1]
local time = redis.call('TIME')
local lapses = string.format('%.3f', tonumber(time[1]) + tonumber(time[2]) / 1e6 + tonumber(ARGV[2]))
for at = 2, #KEYS, 2 do
  local slots = ARGV[4 + at / 2]
  local before, serving = string.match(redis.call('HGET', KEYS[at], worker) or '', '^(%d+)|[^|]*|?(.*)$')
  redis.call('HSET', KEYS[at], worker, slots .. '|' .. lapses .. '|' .. ARGV[3])
  -- Then whoever picks turns reckons the room anew.
  if before ~= slots or serving ~= ARGV[3] then redis.call('DEL', KEYS[at + 1]) end
end
redis.call('HSET', workers, worker, lapses .. '|' .. ARGV[4])
-- Whoever picks turns forgets the slots of the dead.
if redis.call('HLEN', workers) > redis.call('HLEN', KEYS[2]) then
  for _, name in ipairs(redis.call('HKEYS', workers)) do
    if redis.call('HEXISTS', KEYS[2], name) == 0 then redis.call('HDEL', workers, name) end
  end
end
return lapses
