-- STREAM READ. KEYS: lock, stream. ARGV: token, life of the lock in ms, the last entry read, how many.
-- 0: another delivers. Else 1, entries ever added, entries there, the last id, the time in ms, entries.
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return {0} end
redis.call('PEXPIRE', KEYS[1], ARGV[2])
local time = redis.call('TIME')
local ms = time[1] .. string.format('%03d', math.floor(tonumber(time[2]) / 1000))
if redis.call('EXISTS', KEYS[2]) == 0 then return {1, 0, 0, '0-0', ms, {}} end
local flat, info = redis.call('XINFO', 'STREAM', KEYS[2]), {}
for at = 1, #flat, 2 do info[flat[at]] = flat[at + 1] end
local entries = redis.call('XRANGE', KEYS[2], '(' .. ARGV[3], '+', 'COUNT', ARGV[4])
return {1, info['entries-added'], info['length'], info['last-generated-id'], ms, entries}
