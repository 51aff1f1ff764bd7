-- count_outcomes: add what a call brought to the totals of its account, which only grow, and to
-- the cell of these ten seconds. `counts` are names and numbers in turn, as `accepted:bulk`, 50.
-- The ring is a string of 360 cells of 16 bytes, an hour of them: number of the cell (Unix seconds
-- by ten), recipients accepted, recipients throttled (three integers), recipients a second that
-- were allowed last (a float), all of them little-endian. It costs the same however much there is.
local CELLS, CELL_SECONDS, CELL_BYTES, CELL = 360, 10, 16, '<I4I4I4f'

local function count_outcomes(totals, ring, now, allowed, counts)
  if #counts == 0 then return end
  local brought = {accepted = 0, throttled = 0}
  for at = 1, #counts, 2 do
    local what = string.match(counts[at], '^%a+')
    redis.call('HINCRBY', totals, counts[at], counts[at + 1])
    if brought[what] then brought[what] = brought[what] + tonumber(counts[at + 1]) end
  end
  local number = math.floor(now / CELL_SECONDS)
  local from = number % CELLS * CELL_BYTES
  local stored = redis.call('GETRANGE', ring, from, from + CELL_BYTES - 1)
  local of, accepted, throttled = 0, 0, 0
  if #stored == CELL_BYTES then of, accepted, throttled = struct.unpack(CELL, stored) end
  if of ~= number then accepted, throttled = 0, 0 end
  redis.call('SETRANGE', ring, from, struct.pack(CELL, number, accepted + brought.accepted,
    throttled + brought.throttled, allowed))
end
