-- INVAL. ARGV: nonce, history seen, position applied, time of the call (8 bytes), records, the scope of the tenant (16
-- bytes, or nothing), most marks of a generation, most marks of a tenant in it, length of the stream, age of a generation.
-- A record: kind (0 key, 1 tag, 2 namespace), strength (0 hard, 1 soft), tenant (8 bytes), scope (16 bytes).
local at, records, own = ARGV[4], ARGV[5], ARGV[6]
local share = tonumber(ARGV[8])
local marks = KEYS[2 + gen % 2]

if redis.call('HLEN', marks) > tonumber(ARGV[7]) or now - opened_at > tonumber(ARGV[10]) then
  -- the generation before the present one is dropped; it closed when the present one opened
  floor = open -- rule: DropRaisesFloor
  kfloor = math.max(kfloor, open) -- rule: DropRaisesKfloor
  gen, open, opened_at = gen + 1, clk, now
  marks = KEYS[2 + gen % 2]
  redis.call('UNLINK', marks)
  redis.call('HSET', marks, 'inc', inc)
  redis.call('HSET', KEYS[1], 'gen', gen, 'open', open, 'opened_at', opened_at, 'floor', floor)
end

clk = clk + 1
local seq = string.format('%.0f', clk)
local said, written, counts, fields = {}, {}, {}, {}
for i = 1, #records, 26 do
  local record, kind, strength = string.sub(records, i, i + 25), string.byte(records, i, i + 1)
  local tenant = string.sub(record, 3, 10)
  local field = string.sub(record, 11) .. string.sub(record, 1, 2)
  local hard_key = kind == 0 and strength == 0
  local keep = not hard_key or flags ~= 0
  -- namespaces and tenants are never widened, nor is what is of no tenant
  if keep and kind ~= 2 and string.sub(own, 1, 8) == tenant and not written[field]
    and redis.call('HEXISTS', marks, field) == 0 then
    counts[tenant] = counts[tenant] or tonumber(redis.call('HGET', marks, 't' .. tenant) or '0')
    if counts[tenant] < share then
      counts[tenant] = counts[tenant] + 1
    elseif hard_key then
      keep, kfloor = false, clk
    else
      -- the tenant has too many: everything of it is invalidated, and nothing of its neighbours
      record = string.char(2, strength) .. tenant .. own
      field = own .. string.char(2, strength)
      if written[field] then record = '' end
    end
  end
  said[#said + 1] = record
  if keep and not written[field] then
    written[field] = true
    fields[#fields + 1] = field
    fields[#fields + 1] = at .. tenant .. seq
  end
end
for tenant, count in pairs(counts) do
  fields[#fields + 1] = 't' .. tenant
  fields[#fields + 1] = count
end
for i = 1, #fields, 1000 do
  redis.call('HSET', marks, unpack(fields, i, math.min(i + 999, #fields)))
end

redis.call('HSET', KEYS[1], 'clk', seq, 'kfloor', kfloor)
redis.call('HINCRBY', KEYS[1], 'hb', 1)
local message = { 'XADD', KEYS[4], 'MAXLEN', '~', ARGV[9], seq .. '-0', 'i', inc, 'd', at .. table.concat(said) }
if type(redis.pcall(unpack(message))) == 'table' then
  -- something else wrote to the stream: begin it anew, which everybody notices as a gap
  redis.call('UNLINK', KEYS[4])
  redis.call(unpack(message))
end
return answer(ARGV[2], tonumber(ARGV[3]))
