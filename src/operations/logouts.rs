//! Which applications have still to be told that somebody signed out.

use serde::{Deserialize, Serialize};

use super::{Context, Operation, OperationError};
use crate::domain::logout_notifications::{self, Delivery};

/// Lists what waits to be delivered, and what was given up within a day.
#[derive(Debug, Deserialize, Serialize)]
pub struct List {}

impl Operation for List {
    const NAME: &'static str = "logout-list";
    type Output = Vec<Delivery>;

    async fn run(self, context: &Context<'_>) -> Result<Vec<Delivery>, OperationError> {
        Ok(logout_notifications::list(context.store).await?)
    }
}
