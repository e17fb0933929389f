//! Operations on logout notifications (OpenID Connect Back-Channel Logout) that are not delivered yet.

use serde::{Deserialize, Serialize};

use super::{Context, Operation, OperationError};
use crate::domain::logout_notifications::{self, Delivery};

/// Lists the notifications that wait for delivery, and those that were given up within the last day.
#[derive(Debug, Deserialize, Serialize)]
pub struct List {}

impl Operation for List {
    const NAME: &'static str = "logout-list";
    type Output = Vec<Delivery>;

    async fn run(self, context: &Context<'_>) -> Result<Vec<Delivery>, OperationError> {
        Ok(logout_notifications::list(context.store).await?)
    }
}
