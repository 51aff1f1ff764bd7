-- announce_senders: a process says what senders mean in its settings. What another process has
-- said stands for as long as one that means the same is there; but a producer knows better than
-- workers, and one that has just started than all.
-- KEYS[1] meanings
-- ARGV     seconds that it stands, rank (0 worker, 1 producer, 2 one that has just started), then sender, mark, meaning; sender, ...
-- Returns  how many of the senders mean here what they mean to this process
local meanings, lasts, rank = KEYS[1], tonumber(ARGV[1]), tonumber(ARGV[2])

local time = redis.call('TIME')
local now = tonumber(time[1]) + tonumber(time[2]) / 1e6
local same = 0
for i = 3, #ARGV, 3 do
  local till, by, mark = string.match(redis.call('HGET', meanings, ARGV[i]) or '', '^([%d%.]+)|(%d)|(%x+)|')
  local stands = till and tonumber(till) > now and tonumber(by) >= rank
  if mark == ARGV[i + 1] or not stands then
    local said_by = math.max(math.min(rank, 1), stands and tonumber(by) or 0)
    redis.call('HSET', meanings, ARGV[i], string.format('%.3f', now + lasts) .. '|' .. said_by .. '|' .. ARGV[i + 1] .. '|' .. ARGV[i + 2])
    same = same + 1
  end
end
return same
