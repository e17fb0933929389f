//! Which slot a key is in, and who has which slots
//! ([Redis Cluster specification, key distribution model]).
//!
//! [Redis Cluster specification, key distribution model]:
//!     https://redis.io/docs/latest/operate/oss_and_stack/reference/cluster-spec/#key-distribution-model

use redis::{FromRedisValue, Value};

use super::address::Endpoint;

/// How many slots a cluster has.
pub(super) const SLOTS: u16 = 16_384;

/// The slot of everything with this hash tag: CRC-16/XMODEM of the tag.
pub(super) fn slot_of(tag: &str) -> u16 {
    let crc = tag.bytes().fold(0_u16, |crc, byte| {
        (0..8).fold(crc ^ (u16::from(byte) << 8), |crc, _| {
            if crc & 0x8000 == 0 { crc << 1 } else { (crc << 1) ^ 0x1021 }
        })
    });
    crc % SLOTS
}

/// A run of slots, who has them, and who has copies.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Run {
    pub(super) first: u16,
    pub(super) last: u16,
    pub(super) primary: Endpoint,
    pub(super) replicas: Vec<Endpoint>,
}

/// Reads the answer to `CLUSTER SLOTS`, in the order of slots; `None` if it is none.
pub(super) fn runs(answer: Value, asked: &Endpoint) -> Option<Vec<Run>> {
    let Value::Array(answer) = answer else { return None };
    let mut runs: Vec<Run> =
        answer.into_iter().map(|run| one_run(run, asked)).collect::<Option<_>>()?;
    runs.sort_by_key(|run| run.first);
    Some(runs)
}

/// Whether every slot is somebody's.
pub(super) fn are_all(runs: &[Run]) -> bool {
    let mut next = 0;
    for run in runs {
        if run.first != next {
            return false;
        }
        next = run.last.saturating_add(1);
    }
    next == SLOTS
}

fn one_run(run: Value, asked: &Endpoint) -> Option<Run> {
    let Value::Array(parts) = run else { return None };
    let mut parts = parts.into_iter();
    let first = u16::from_redis_value(parts.next()?).ok()?;
    let last = u16::from_redis_value(parts.next()?).ok()?;
    let mut nodes = parts.map(|node| endpoint(node, asked));
    let primary = nodes.next()??;
    // A replica whose address is not known yet is none to ask.
    Some(Run { first, last, primary, replicas: nodes.flatten().collect() })
}

/// Host, port, and what does not matter here. No host means the one that was asked.
fn endpoint(node: Value, asked: &Endpoint) -> Option<Endpoint> {
    let Value::Array(parts) = node else { return None };
    let mut parts = parts.into_iter();
    let host = Option::<String>::from_redis_value(parts.next()?).ok()?.unwrap_or_default();
    let port = u16::from_redis_value(parts.next()?).ok()?;
    Endpoint::redirected(&format!("{host}:{port}"), asked)
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
            assert_eq!(slot_of(tag), slot % SLOTS, "{tag}");
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
        let answer = Value::Array(vec![
            run(8192, 16383, vec![node(text("b"), 2), node(text("c"), 3)]),
            run(0, 8191, vec![node(Value::Nil, 1)]),
        ]);
        let runs = runs(answer, &asked).unwrap();
        assert_eq!(runs[0].primary, asked);
        assert_eq!(runs[1].primary, Endpoint::tcp("b", 2));
        assert_eq!(runs[1].replicas, [Endpoint::tcp("c", 3)]);
        assert!(are_all(&runs) && !are_all(&runs[..1]) && !are_all(&runs[1..]) && !are_all(&[]));
    }

    #[test]
    fn what_is_no_map_is_not_taken_for_one() {
        let asked = Endpoint::tcp("here", 1);
        let bad = Value::Array(vec![Value::Array(vec![Value::Int(0), text("what")])]);
        assert_eq!(runs(bad, &asked), None);
        assert_eq!(runs(Value::Nil, &asked), None);
    }
}
