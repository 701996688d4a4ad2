-- STREAM TAKE. KEYS: lock, consumer. ARGV: token, life of the lock in ms.
-- Who delivers, and up to where that consumer has applied: 1, the entry, and the how-manieth of the stream it was.
local owner = redis.call('GET', KEYS[1])
if owner and owner ~= ARGV[1] then return {0} end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
local there = redis.call('HMGET', KEYS[2], 'position', 'ordinal')
return {1, there[1] or '', there[2] or ''}
