-- STREAM ASIDE. KEYS: stream, poison. ARGV: how many to keep, then entry and reason, again and again.
-- Under the id that it has in the stream: one that is there already is refused, as are those before it.
for at = 2, #ARGV, 2 do
  local found = redis.call('XRANGE', KEYS[1], ARGV[at], ARGV[at])
  local fields = found[1] and found[1][2] or {}
  local add = {'XADD', KEYS[2], 'MAXLEN', '~', ARGV[1], ARGV[at], 'strata-reason', ARGV[at + 1]}
  if #fields <= 128 then
    for _, field in ipairs(fields) do add[#add + 1] = field end
  end
  local added = redis.pcall(unpack(add))
  if type(added) == 'table' and added.err and not string.find(added.err, 'equal or smaller', 1, true) then return added end
end
return 1
