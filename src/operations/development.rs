//! What a development installation made, on a public issuer.

use serde::{Deserialize, Serialize};

use super::{Context, Operation, OperationError};
use crate::domain::development::{self, Off};

/// Switches off what development made: for an issuer that is not a loopback one.
#[derive(Debug, Deserialize, Serialize)]
pub struct SwitchOff {}

impl Operation for SwitchOff {
    const NAME: &'static str = "development-switch-off";
    type Output = Off;

    async fn run(self, context: &Context<'_>) -> Result<Off, OperationError> {
        Ok(development::switch_off(context.store, context.now).await?)
    }
}
