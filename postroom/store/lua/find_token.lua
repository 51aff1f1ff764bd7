-- find_token: where the message stands that a token names. As append_messages keeps tokens.
-- KEYS[1] stream, `...{stream}:stream`; the keys of tokens carry its tag
-- ARGV     token, seconds that tokens are kept
-- Returns  segment|position, or '' when it names none
local SHARD = 64
local stream, base, token, keep = KEYS[1], string.sub(KEYS[1], 1, -7), ARGV[1], tonumber(ARGV[2])
local era = math.floor(tonumber(redis.call('TIME')[1]) / keep)
local one, two, three = string.byte(token, 1, 3)
local number = one * 65536 + two * 256 + three
for of = era, era - 1, -1 do
  local tokens, at, room = tonumber(redis.call('HGET', stream, 'tokens:' .. of) or '') or 0, 0, 0
  while tokens > 0 and tokens >= room do
    local found = redis.call('HGET', base .. 'tokens:' .. of .. ':' .. at .. ':' .. number % 4 ^ at, token)
    if found then return string.match(found, '^%d+|%d+') end
    room = room + SHARD * 4 ^ at
    at = at + 1
  end
end
return ''
