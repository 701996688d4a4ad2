-- KEYS: header, marks 0, marks 1, stream. ARGV[1]: the name of a new history, should one begin. Then what each script says.
local replid = string.match(redis.call('INFO', 'replication'), 'master_replid:(%x+)')
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
local h = redis.call('HMGET', KEYS[1], 'inc', 'clk', 'replid', 'gen', 'open', 'opened_at', 'floor', 'kfloor', 'flags')
local inc, clk, gen, open, opened_at = h[1], tonumber(h[2]), tonumber(h[4]), tonumber(h[5]), tonumber(h[6])
local floor, kfloor, flags = tonumber(h[7]), tonumber(h[8]), tonumber(h[9])

local lost = not (inc and clk and gen and open and opened_at and floor and kfloor and flags)
if h[3] ~= replid then lost = true end -- rule: HeaderReplid
if not lost and redis.call('HGET', KEYS[2 + gen % 2], 'inc') ~= inc then lost = true end -- rule: MarksCarryIncarnation
if not lost and gen > 1 and redis.call('HGET', KEYS[2 + (gen + 1) % 2], 'inc') ~= inc then lost = true end -- rule: MarksCarryIncarnation
if lost then
  inc, clk, gen, open, opened_at, floor, kfloor, flags = ARGV[1], 1, 1, 1, now, 0, 0, 0
  redis.call('UNLINK', KEYS[2], KEYS[3], KEYS[4]) -- rule: DeleteTogether
  redis.call('DEL', KEYS[1])
  redis.call('HSET', KEYS[1], 'inc', inc, 'clk', clk, 'replid', replid, 'hb', 0, 'gen', gen, 'open', open,
    'opened_at', opened_at, 'floor', floor, 'kfloor', kfloor, 'flags', flags)
  redis.call('HSET', KEYS[2 + gen % 2], 'inc', inc)
end

-- What a node that has applied everything up to `applied` of the history `seen` has to know.
local function answer(seen, applied)
  local reply = { inc, clk, floor, kfloor, flags, gen, now }
  if seen == inc and applied < clk then
    local from = string.format('%.0f-0', applied + 1)
    for _, entry in ipairs(redis.call('XRANGE', KEYS[4], from, '+', 'COUNT', 512)) do
      reply[#reply + 1] = entry[1]
      reply[#reply + 1] = entry[2][2]
      reply[#reply + 1] = entry[2][4]
    end
  end
  return reply
end
