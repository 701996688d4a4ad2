-- REPLID. KEYS: a key that never exists. Deleting it changes nothing, and is refused by a server that is no primary.
redis.call('DEL', KEYS[1]) -- rule: ShardWrites
return store
