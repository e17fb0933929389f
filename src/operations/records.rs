//! Raw reads of a running server's store, for a backup made beside it.

use serde::{Deserialize, Serialize};

use super::{Context, Operation, OperationError};
use crate::infra::secret::base64url;
use crate::infra::store::{RawKey, StoreError};

/// Reads what a key holds.
#[derive(Debug, Deserialize, Serialize)]
pub struct Read {
    /// The key, hash tag first.
    pub key: String,
}

/// Reads names of an index.
#[derive(Debug, Deserialize, Serialize)]
pub struct Names {
    /// The index, hash tag first.
    pub index: String,
    /// The name before the first.
    pub after: String,
    /// How many at most.
    pub limit: usize,
}

impl Operation for Read {
    const NAME: &'static str = "record-read";
    /// In base64url.
    type Output = Option<String>;

    async fn run(self, context: &Context<'_>) -> Result<Option<String>, OperationError> {
        let key = parsed(&self.key)?;
        match context.store.get(&key).await {
            Ok(found) => Ok(found.map(|bytes| base64url(&bytes))),
            // There, and nothing that can be read.
            Err(StoreError::Corrupt { .. }) => Ok(Some(String::new())),
            Err(error @ (StoreError::Unavailable(_) | StoreError::Contended { .. })) => {
                Err(error.into())
            }
        }
    }
}

impl Operation for Names {
    const NAME: &'static str = "record-names";
    type Output = Vec<String>;

    async fn run(self, context: &Context<'_>) -> Result<Vec<String>, OperationError> {
        let index = parsed(&self.index)?;
        Ok(context.store.scan_index(&index, &self.after, self.limit.min(1000)).await?)
    }
}

fn parsed(text: &str) -> Result<RawKey, OperationError> {
    RawKey::parse(text).ok_or_else(|| OperationError::Invalid("that is no key".to_owned()))
}
