-- FILL. KEYS: entry, lease. ARGV: token, envelope, life in ms, channel of the fills, name of the entry.
-- What has no life left takes the place of what was there all the same: it may be that something was taken.
local lease = redis.call('GET', KEYS[2])
local own = lease and string.sub(lease, 1, 16) == ARGV[1] and string.sub(lease, 25, 32) == store
if not own then return 0 end -- rule: FillNeedsToken
if ARGV[3] == '0' then redis.call('DEL', KEYS[1]) else redis.call('SET', KEYS[1], store .. ARGV[2], 'PX', ARGV[3]) end
redis.call('DEL', KEYS[2])
if lease and string.sub(lease, 33, 33) == '1' then redis.call('PUBLISH', ARGV[4], ARGV[5]) end
return 1
