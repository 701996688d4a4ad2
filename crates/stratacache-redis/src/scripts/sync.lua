-- SYNC. ARGV: nonce, history seen, position applied.
redis.call('HINCRBY', KEYS[1], 'hb', 1) -- rule: SyncWrites
return answer(ARGV[2], tonumber(ARGV[3]))
