-- Appends a message to a room's log, once: a message that was appended before is found by its key.
-- KEYS: log, id by key, keys of the images that are kept, image by key
-- ARGV: kept messages, kept images, seconds to live, milliseconds of now, key, message, image (empty for none),
--       what an image's name in Redis begins with
-- Returns the message's id: when the log began, and the message's number in it, which has no gaps.
local known = redis.call('GET', KEYS[2])
if known then return known end

local id = ARGV[4] .. '-1'
local last = redis.call('XREVRANGE', KEYS[1], '+', '-', 'COUNT', 1)
if #last > 0 then
  local began, number = string.match(last[1][1], '^(%d+)-(%d+)$')
  id = began .. '-' .. string.format('%d', tonumber(number) + 1)
end
redis.call('XADD', KEYS[1], 'MAXLEN', ARGV[1], id, 'message', ARGV[6])
redis.call('SET', KEYS[2], id, 'EX', ARGV[3])
redis.call('EXPIRE', KEYS[1], ARGV[3])

if ARGV[7] ~= '' then
  redis.call('SET', KEYS[4], ARGV[7], 'EX', ARGV[3])
  redis.call('RPUSH', KEYS[3], ARGV[5])
  redis.call('EXPIRE', KEYS[3], ARGV[3])
  while redis.call('LLEN', KEYS[3]) > tonumber(ARGV[2]) do
    redis.call('DEL', ARGV[8] .. redis.call('LPOP', KEYS[3]))
  end
end
return id
