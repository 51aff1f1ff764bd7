-- post_message: make a draft of one recipient a campaign, ready to be sent, in one step.
-- KEYS[1] campaign   KEYS[2] batches   KEYS[3] ledger   KEYS[4] due
-- ARGV     account, recipient (as a batch), ledger byte, outcome counted, seconds its records are
--          kept once it is over, mark of what its sender means, and that in plain
-- Returns  1 (also when it was posted before), or 0 when the draft is gone
local campaign, batches, ledger, due = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local sealed = redis.call('HGET', campaign, 'sealed_at')
if not sealed then return 0 end
if sealed ~= '' then return 1 end
local time = redis.call('TIME')
local now = time[1] .. '.' .. string.format('%03d', math.floor(tonumber(time[2]) / 1000))
redis.call('HSET', batches, 0, ARGV[2])
redis.call('SET', ledger, ARGV[3])
redis.call('HSET', campaign, 'account', ARGV[1], 'sealed_at', now, 'split', '1', 'batches', 1,
  'total', 1, ARGV[4], 1, 'retention', ARGV[5], 'bound', ARGV[6], 'means', ARGV[7])
if ARGV[4] == 'pending' then redis.call('ZADD', due, 0, 0) end
redis.call('PERSIST', campaign)
return 1
