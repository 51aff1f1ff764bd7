-- open_segment: begin the records of the segment that a stream goes on with when its open one is
-- full or old. It takes messages once append_messages turns to it; unless that happens it expires.
-- KEYS[1] stream, `...{stream}:stream`; the record of the new segment carries its tag
-- ARGV     which segment (lane|policy|bound), seconds that it takes messages, seconds that it is
--          kept unused, then fields and values of its record
-- Returns  the segment, a number of its own in the stream; the same while it is not in use
local stream, which = KEYS[1], ARGV[1]
local base = string.sub(stream, 1, -7)
local waiting = redis.call('HGET', stream, 'next:' .. which)
if waiting and redis.call('EXISTS', base .. waiting .. ':campaign') == 1 then return waiting end

local time = redis.call('TIME')
local now = tonumber(time[1]) + tonumber(time[2]) / 1e6
local segment = tostring(redis.call('HINCRBY', stream, 'segments', 1))
local record = base .. segment .. ':campaign'
-- As a campaign's record has them: scripts that steer ask whether they are empty.
redis.call('HSET', record, 'steer', '', 'halted', '', 'finished_at', '')
redis.call('HSET', record, 'sealed_at', string.format('%.3f', now), 'split', 1, 'total', 0, 'batch_size', 1,
  'open', string.format('%.3f', now + tonumber(ARGV[2])), unpack(ARGV, 4))
redis.call('EXPIRE', record, ARGV[3])
redis.call('HSET', stream, 'next:' .. which, segment)
return segment
