//! Disables what a development installation made, when the issuer is public.

use serde::{Deserialize, Serialize};

use super::{Context, Operation, OperationError};
use crate::domain::development::{self, DisabledAccounts};

/// Switches off what development made: for an issuer that is not a loopback one.
#[derive(Debug, Deserialize, Serialize)]
pub struct SwitchOff {}

impl Operation for SwitchOff {
    const NAME: &'static str = "development-switch-off";
    type Output = DisabledAccounts;

    async fn run(self, context: &Context<'_>) -> Result<DisabledAccounts, OperationError> {
        Ok(development::disable_all(context.store, context.now).await?)
    }
}
