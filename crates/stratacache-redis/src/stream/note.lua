-- STREAM NOTE. KEYS: lock, consumer. ARGV: token, the last entry applied, the how-manieth it was.
-- Who does not deliver any more notes nothing: the next one applies it again.
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
redis.call('HSET', KEYS[2], 'position', ARGV[2], 'ordinal', ARGV[3])
return 1
