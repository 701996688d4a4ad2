-- The first eight bytes of the server's replication id name the history of the store; a server that lost acknowledged
-- writes has another id. It is asked here, and not taken from the client, who may remember an older one.
local replid = string.match(redis.call('INFO', 'replication'), 'master_replid:(%x+)')
local store = string.gsub(string.sub(replid, 1, 16), '%x%x', function(hex) return string.char(tonumber(hex, 16)) end)
