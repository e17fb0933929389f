-- KEYS[1]: the counter. ARGV[1]: its window in milliseconds. Returns the count, and 1 if a value that is no
-- counter was replaced.
local count, replaced = redis.pcall('INCR', KEYS[1]), 0
if type(count) == 'table' then
  -- Out of memory, read-only and the like are refusals. Any other error means that the value is no counter.
  if not (string.find(count.err, 'WRONGTYPE', 1, true) or string.find(count.err, 'integer', 1, true)
    or string.find(count.err, 'overflow', 1, true)) then return count end
  redis.call('SET', KEYS[1], 1)
  count, replaced = 1, 1
end
if redis.call('PTTL', KEYS[1]) < 0 then redis.call('PEXPIRE', KEYS[1], ARGV[1]) end
return { count, replaced }
