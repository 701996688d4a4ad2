-- TAKE. KEYS: lease. ARGV: token, life in ms. Whoever held the lease has lost it; nobody takes this one over.
local lease = redis.call('GET', KEYS[1])
local waited = lease and string.sub(lease, 33, 33) or '0'
redis.call('SET', KEYS[1], ARGV[1] .. string.rep('\0', 8) .. store .. waited .. '18446744073709551615', 'PX', ARGV[2])
return 1
