use std::fmt;

/// Keys that may change together. Rendered as the hash tag of a Redis key.
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
    pub fn new(partition: Partition, kind: &str, name: Option<&str>) -> Self {
        let rendered = match name {
            Some(name) => format!("{{{partition}}}{kind}/{name}"),
            None => format!("{{{partition}}}{kind}"),
        };
        Self { partition, rendered }
    }

    pub fn partition(&self) -> &Partition {
        &self.partition
    }

    pub fn as_str(&self) -> &str {
        &self.rendered
    }
}

impl fmt::Display for RawKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.rendered)
    }
}
