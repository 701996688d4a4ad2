-- SWEEP. KEYS: entry. ARGV: its first bytes as they were judged, '1' where it was judged by the history of the store.
if redis.call('GETRANGE', KEYS[1], 0, #ARGV[1] - 1) ~= ARGV[1] then return 0 end
if ARGV[2] == '1' and string.sub(ARGV[1], 1, 8) == store then return 0 end
return redis.call('UNLINK', KEYS[1])
