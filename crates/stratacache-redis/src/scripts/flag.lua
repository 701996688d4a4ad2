-- FLAG. ARGV: nonce, history seen, position applied. From now on marks of keys are kept; those of before were not.
if flags == 0 then
  flags = 1
  kfloor = clk -- rule: FlagRaisesKfloor
  redis.call('HSET', KEYS[1], 'flags', flags, 'kfloor', kfloor)
end
redis.call('HINCRBY', KEYS[1], 'hb', 1)
return answer(ARGV[2], tonumber(ARGV[3]))
