-- claim_readings: take the turn to read accounts from SES. An account that is one at SES with
-- another is not asked about twice within the gap: its turn comes at the end of it.
-- KEYS[1] readings   KEYS[2] asked, a sorted set account at SES -> when it was asked about last
-- ARGV     seconds of the gap, then account, its name as one at SES, seconds until it is due
--          again (0: it is read out of turn); account, ...
-- Returns  {account, ...}, those that the caller is to read
local readings, asked, gap = KEYS[1], KEYS[2], tonumber(ARGV[1])

local time = redis.call('TIME')
local now = tonumber(time[1]) + tonumber(time[2]) / 1e6
redis.call('ZREMRANGEBYSCORE', asked, '-inf', now - gap)
local function write(key, member, at) redis.call('ZADD', key, string.format('%.6f', at), member) end

local taken = {}
for i = 2, #ARGV, 3 do
  local account, owner, again = ARGV[i], ARGV[i + 1], tonumber(ARGV[i + 2])
  local due = again == 0 or tonumber(redis.call('ZSCORE', readings, account) or now + 1) <= now
  local last = redis.call('ZSCORE', asked, owner)
  if due and not last then
    if again > 0 then write(readings, account, now + again) end
    write(asked, owner, now)
    table.insert(taken, account)
  elseif due and again > 0 then
    write(readings, account, tonumber(last) + gap)
  end
end
return taken
