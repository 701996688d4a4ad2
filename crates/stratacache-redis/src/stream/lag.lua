-- STREAM LAG. KEYS: stream, consumer. How many were added after what was applied, and for how many ms the oldest is there.
if redis.call('EXISTS', KEYS[1]) == 0 then return {0, 0} end
local there = redis.call('HMGET', KEYS[2], 'position', 'ordinal')
local flat, info = redis.call('XINFO', 'STREAM', KEYS[1]), {}
for at = 1, #flat, 2 do info[flat[at]] = flat[at + 1] end
local oldest = redis.call('XRANGE', KEYS[1], '(' .. (there[1] or '0-0'), '+', 'COUNT', 1)
if not oldest[1] then return {0, 0} end
local time = redis.call('TIME')
local age = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000) - tonumber(string.match(oldest[1][1], '^%d+'))
return {math.max(0, info['entries-added'] - tonumber(there[2] or 0)), math.max(0, age)}
