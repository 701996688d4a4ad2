-- RELEASE. KEYS: lease. ARGV: token, channel of the fills, name of the entry.
local lease = redis.call('GET', KEYS[1])
if not lease or string.sub(lease, 1, 16) ~= ARGV[1] then return 0 end
redis.call('DEL', KEYS[1])
if string.sub(lease, 33, 33) == '1' then redis.call('PUBLISH', ARGV[2], ARGV[3]) end
return 1
