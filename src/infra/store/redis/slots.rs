//! The hash slots of a cluster: the slot of a key, and the nodes that serve each slot
//! ([Redis Cluster specification, key distribution model]).
//!
//! [Redis Cluster specification, key distribution model]:
//!     https://redis.io/docs/latest/operate/oss_and_stack/reference/cluster-spec/#key-distribution-model

use redis::{FromRedisValue, Value};

use super::url::Endpoint;

/// The hash slots of every cluster.
pub(super) const SLOT_COUNT: u16 = 16_384;

/// The slot of every key with this hash tag: CRC-16/XMODEM of the tag.
pub(super) fn slot_of(tag: &str) -> u16 {
    let crc = tag.bytes().fold(0_u16, |crc, byte| {
        (0..8).fold(crc ^ (u16::from(byte) << 8), |crc, _| {
            if crc & 0x8000 == 0 { crc << 1 } else { (crc << 1) ^ 0x1021 }
        })
    });
    crc % SLOT_COUNT
}

/// Consecutive slots with the same nodes.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct SlotRange {
    pub(super) first: u16,
    pub(super) last: u16,
    pub(super) primary: Endpoint,
    pub(super) replicas: Vec<Endpoint>,
}

/// Parses the reply to `CLUSTER SLOTS`, in the order of slots; `None` if it is malformed.
pub(super) fn parse_slot_map(reply: Value, asked: &Endpoint) -> Option<Vec<SlotRange>> {
    let Value::Array(reply) = reply else { return None };
    let mut ranges: Vec<SlotRange> =
        reply.into_iter().map(|range| parse_range(range, asked)).collect::<Option<_>>()?;
    ranges.sort_by_key(|range| range.first);
    Some(ranges)
}

/// Whether every slot is served.
pub(super) fn covers_all_slots(ranges: &[SlotRange]) -> bool {
    let mut next = 0;
    for range in ranges {
        if range.first != next {
            return false;
        }
        next = range.last.saturating_add(1);
    }
    next == SLOT_COUNT
}

fn parse_range(range: Value, asked: &Endpoint) -> Option<SlotRange> {
    let Value::Array(parts) = range else { return None };
    let mut parts = parts.into_iter();
    let first = u16::from_redis_value(parts.next()?).ok()?;
    let last = u16::from_redis_value(parts.next()?).ok()?;
    let mut nodes = parts.map(|node| parse_node(node, asked));
    let primary = nodes.next()??;
    // The address of a new replica may not be known yet; such a replica is left out.
    Some(SlotRange { first, last, primary, replicas: nodes.flatten().collect() })
}

/// A node is its host, its port and more that is not needed. A null host is the one that was asked.
fn parse_node(node: Value, asked: &Endpoint) -> Option<Endpoint> {
    let Value::Array(parts) = node else { return None };
    let mut parts = parts.into_iter();
    let host = Option::<String>::from_redis_value(parts.next()?).ok()?.unwrap_or_default();
    let port = u16::from_redis_value(parts.next()?).ok()?;
    Endpoint::parse_redirection(&format!("{host}:{port}"), asked)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str) -> Value {
        Value::BulkString(text.as_bytes().to_vec())
    }

    fn node(host: Value, port: i64) -> Value {
        Value::Array(vec![host, Value::Int(port), text("id")])
    }

    #[test]
    fn a_slot_is_what_the_specification_says_it_is() {
        // 0x31C3 is the check value of CRC-16/XMODEM; the others are what CLUSTER KEYSLOT answers.
        for (tag, slot) in [("123456789", 0x31C3), ("foo", 12182), ("", 0), ("grant:é", 4042)] {
            assert_eq!(slot_of(tag), slot % SLOT_COUNT, "{tag}");
        }
    }

    #[test]
    fn runs_are_read_in_order_and_a_missing_host_is_the_one_asked() {
        let asked = Endpoint::tcp("here", 1);
        let run = |first, last, nodes: Vec<Value>| {
            let mut run = vec![Value::Int(first), Value::Int(last)];
            run.extend(nodes);
            Value::Array(run)
        };
        let reply = Value::Array(vec![
            run(8192, 16383, vec![node(text("b"), 2), node(text("c"), 3)]),
            run(0, 8191, vec![node(Value::Nil, 1)]),
        ]);
        let runs = parse_slot_map(reply, &asked).unwrap();
        assert_eq!(runs[0].primary, asked);
        assert_eq!(runs[1].primary, Endpoint::tcp("b", 2));
        assert_eq!(runs[1].replicas, [Endpoint::tcp("c", 3)]);
        assert!(covers_all_slots(&runs) && !covers_all_slots(&[]));
        assert!(!covers_all_slots(&runs[..1]) && !covers_all_slots(&runs[1..]));
    }

    #[test]
    fn what_is_no_map_is_not_taken_for_one() {
        let asked = Endpoint::tcp("here", 1);
        let bad = Value::Array(vec![Value::Array(vec![Value::Int(0), text("what")])]);
        assert_eq!(parse_slot_map(bad, &asked), None);
        assert_eq!(parse_slot_map(Value::Nil, &asked), None);
    }
}
