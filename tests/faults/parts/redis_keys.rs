//! Counts the keys in Redis by record kind, with their times to live.

use std::collections::BTreeMap;

use super::redis::RedisServer;

/// The records of one kind.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct KindCounts {
    pub count: usize,
    pub without_ttl: usize,
    /// The longest that any of them has to live, in milliseconds.
    pub longest_ms: u64,
}

/// Everything in redis now. The kind is what a key's name says behind its partition.
pub fn census(redis: &RedisServer) -> BTreeMap<String, KindCounts> {
    let reply = redis.command(&[b"EVAL", SCRIPT.as_bytes(), b"0"]);
    let mut kinds = BTreeMap::new();
    for line in reply.lines() {
        let words: Vec<&str> = line.split(' ').collect();
        let [name, count, without_ttl, longest_ms] = words[..] else { continue };
        let number = |text: &str| text.parse().unwrap_or_default();
        let kind = KindCounts {
            count: number(count),
            without_ttl: number(without_ttl),
            longest_ms: longest_ms.parse().unwrap_or_default(),
        };
        kinds.insert(name.to_owned(), kind);
    }
    kinds
}

const SCRIPT: &str = r"
local count, without, longest = {}, {}, {}
local cursor = '0'
repeat
  local page = redis.call('SCAN', cursor, 'COUNT', 1000)
  cursor = page[1]
  for _, key in ipairs(page[2]) do
    local kind = string.match(key, '}:?([%w._-]+)') or key
    local ttl = redis.call('PTTL', key)
    count[kind] = (count[kind] or 0) + 1
    without[kind] = (without[kind] or 0) + (ttl == -1 and 1 or 0)
    longest[kind] = math.max(longest[kind] or 0, ttl)
  end
until cursor == '0'
local lines = {}
for kind, n in pairs(count) do
  lines[#lines + 1] = kind .. ' ' .. n .. ' ' .. without[kind] .. ' ' .. longest[kind]
end
return table.concat(lines, '\n')
";
