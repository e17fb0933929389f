//! Operations by name, for callers in another process: the control socket.

use serde_json::Value;

use super::{
    Context, Operation, OperationError, clients, consents, development, events, keys, logouts,
    records, resources, scopes, users,
};

/// Why there is no output.
#[derive(Debug, thiserror::Error)]
pub enum DispatchError {
    /// This release has no operation of that name; the caller is of a later one.
    #[error("there is no such operation")]
    Unknown,
    #[error(transparent)]
    Failed(#[from] OperationError),
}

/// Runs the operation of that name on its input, and answers with its output.
pub async fn dispatch(
    name: &str,
    input: Value,
    context: &Context<'_>,
) -> Result<Value, DispatchError> {
    macro_rules! run {
        ($($operation:ty),* $(,)?) => {
            match name {
                $(<$operation>::NAME => Ok(run_one::<$operation>(input, context).await?),)*
                _ => Err(DispatchError::Unknown),
            }
        };
    }
    run![
        consents::List,
        consents::Withdraw,
        users::Add,
        users::List,
        users::Show,
        users::Disable,
        users::Enable,
        users::Remove,
        users::Set,
        users::SetPassword,
        users::SignOut,
        users::Unlock,
        clients::Add,
        clients::List,
        clients::Show,
        clients::Set,
        clients::Disable,
        clients::Enable,
        clients::Remove,
        clients::RotateSecret,
        development::SwitchOff,
        scopes::List,
        scopes::Add,
        resources::List,
        resources::Show,
        resources::Add,
        resources::Remove,
        keys::List,
        keys::Jwks,
        keys::Rotate,
        keys::Remove,
        logouts::List,
        events::List,
        records::Read,
        records::Names,
    ]
}

async fn run_one<O: Operation>(
    input: Value,
    context: &Context<'_>,
) -> Result<Value, OperationError> {
    let operation: O = serde_json::from_value(input).map_err(|error| {
        OperationError::Invalid(format!("{} cannot be understood: {error}", O::NAME))
    })?;
    let output = operation.run(context).await?;
    serde_json::to_value(output)
        .map_err(|error| OperationError::Unavailable(format!("no answer can be written: {error}")))
}
