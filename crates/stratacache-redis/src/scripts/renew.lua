-- RENEW. KEYS: lease. ARGV: token, life in ms.
local lease = redis.call('GET', KEYS[1])
local own = lease and string.sub(lease, 1, 16) == ARGV[1] and string.sub(lease, 25, 32) == store
if not own then return 0 end -- rule: RenewOnlyOwn
redis.call('SET', KEYS[1], lease or ARGV[1] .. string.rep('\0', 8) .. store .. '00', 'PX', ARGV[2])
return 1
