-- LEASE. KEYS: entry, lease. ARGV: token (16 bytes), life in ms, history of the lane (8 bytes), stamp, newest mark known, id
-- of the envelope seen (8 bytes, or nothing). Answers: 0 busy, 1 granted, 2 filled, 3 taken over. A lease: token, history of the lane, history of the store, 1 where somebody
-- waits, stamp.
local token, life, lane, stamp, newest, seen = unpack(ARGV)
local entry = redis.call('GETRANGE', KEYS[1], 0, 39)
if #entry == 40 and string.sub(entry, 1, 8) == store and string.sub(entry, 33, 40) ~= seen then return 2 end

local lease = redis.call('GET', KEYS[2])
local waited = '0'
if lease then
  local taken = tonumber(string.sub(lease, 34))
  local own = string.sub(lease, 1, 16) == token
  local ends = string.sub(lease, 25, 32) ~= store -- it was granted by another history
    or (string.sub(lease, 17, 24) ~= lane and taken < 1e19) -- its load is of no use; 1e19 and above: an insert
    or taken < tonumber(newest)
  if not own and not ends then
    redis.call('SETRANGE', KEYS[2], 32, '1')
    return 0
  end
  waited = string.sub(lease, 33, 33)
end
redis.call('SET', KEYS[2], token .. lane .. store .. waited .. stamp, 'PX', life)
return (lease and string.sub(lease, 1, 16) ~= token) and 3 or 1
