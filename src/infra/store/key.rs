use std::fmt;

/// The keys that may change in one step, rendered as the hash tag of a Redis key
/// (docs/decisions/hash-tags-as-partitions.md).
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Partition(String);

impl Partition {
    /// # Panics
    /// If the name could end the hash tag early. Names come from our own identifiers and digests,
    /// never from a request.
    pub fn new(name: impl Into<String>) -> Self {
        let name = name.into();
        assert!(!name.is_empty() && !name.contains(['{', '}']), "bad partition name {name:?}");
        Self(name)
    }

    /// The hash tag, without its braces.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Partition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// `{partition}kind`, or `{partition}kind/name` where a partition holds several of a kind.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct RawKey {
    partition: Partition,
    rendered: String,
}

impl RawKey {
    /// The key of a record of this `kind`, with a `name` if the partition has several of it.
    pub fn new(partition: Partition, kind: &str, name: Option<&str>) -> Self {
        let rendered = match name {
            Some(name) => format!("{{{partition}}}{kind}/{name}"),
            None => format!("{{{partition}}}{kind}"),
        };
        Self { partition, rendered }
    }

    /// Reads a key as it is rendered.
    pub fn parse(rendered: &str) -> Option<Self> {
        let (partition, rest) = rendered.strip_prefix('{')?.split_once('}')?;
        let is_whole = !partition.is_empty() && !partition.contains('{') && !rest.is_empty();
        let partition = is_whole.then(|| Partition(partition.to_owned()))?;
        Some(Self { partition, rendered: rendered.to_owned() })
    }

    /// The partition that the key is in.
    pub fn partition(&self) -> &Partition {
        &self.partition
    }

    /// The kind of the record, the only part of a key that may be logged.
    pub fn kind(&self) -> &str {
        let after = self.rendered.split_once('}').map_or("", |(_, after)| after);
        after.split_once('/').map_or(after, |(kind, _)| kind)
    }

    /// The whole key, hash tag first.
    pub fn as_str(&self) -> &str {
        &self.rendered
    }
}

impl fmt::Display for RawKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.rendered)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_knows_its_kind_with_and_without_a_name() {
        let partition = Partition::new("user:ada/x");
        assert_eq!(RawKey::new(partition.clone(), "session.v1", None).kind(), "session.v1");
        assert_eq!(RawKey::new(partition, "session.v1", Some("a/b")).kind(), "session.v1");
    }

    #[test]
    fn a_key_is_read_as_it_is_rendered() {
        for name in [None, Some("a/b")] {
            let key = RawKey::new(Partition::new("user:ada/x"), "session.v1", name);
            assert_eq!(RawKey::parse(key.as_str()), Some(key));
        }
        for text in ["", "{}a", "{a}", "a", "{a", "x{a}b", "{{a}}b"] {
            assert_eq!(RawKey::parse(text), None, "{text}");
        }
    }

    #[test]
    #[should_panic(expected = "bad partition name")]
    fn a_partition_cannot_end_its_hash_tag_early() {
        let _ = Partition::new("a}b");
    }
}
