//! `latchkey logout`: the logout notifications that are not delivered yet.

use clap::Subcommand;
use serde_json::{Value, json};

use super::error::CliError;
use super::operator::Operator;
use super::output::timestamp;
use crate::domain::logout_notifications::{Delivery, DeliveryState};
use crate::operations::logouts::List;

/// What can be done with logouts.
#[derive(Debug, Subcommand)]
pub enum LogoutCommand {
    /// List what waits to be delivered, and what was given up within a day
    List {
        /// As a JSON array
        #[arg(long)]
        json: bool,
    },
}

pub(super) async fn run(command: LogoutCommand, operator: &Operator) -> Result<String, CliError> {
    let LogoutCommand::List { json } = command;
    let found = operator.run(List {}).await?;
    if json {
        let shown = Value::Array(found.iter().map(object).collect());
        return Ok(format!("{shown:#}"));
    }
    Ok(found.iter().map(line).collect::<Vec<_>>().join("\n"))
}

fn line(it: &Delivery) -> String {
    let (state, at) = state(it);
    format!("{}  {}  {state}  {at}  tries {}", it.id, it.client.as_str(), it.tries)
}

fn object(it: &Delivery) -> Value {
    let (state, at) = state(it);
    json!({
        "id": it.id, "client_id": it.client, "sub": it.sub, "sid": it.sid, "tries": it.tries,
        "queued_at": timestamp(it.queued_at), "state": state, "at": at,
    })
}

fn state(it: &Delivery) -> (&'static str, String) {
    match it.state {
        DeliveryState::Waiting { at } => ("waiting", timestamp(at)),
        DeliveryState::Sending { until } => ("sending", timestamp(until)),
        DeliveryState::Failed { at, refused: true } => ("refused", timestamp(at)),
        DeliveryState::Failed { at, refused: false } => ("failed", timestamp(at)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::clients::ClientId;
    use crate::infra::clock::UnixTime;

    #[test]
    fn a_delivery_is_one_line_or_one_object() {
        let at = UnixTime::from_secs(1_700_000_000);
        let it = Delivery {
            id: uuid::Uuid::nil(),
            client: ClientId::parse("shop").unwrap(),
            sub: "ada".to_owned(),
            sid: uuid::Uuid::nil(),
            queued_at: at,
            tries: 2,
            state: DeliveryState::Waiting { at },
        };
        let start = "00000000-0000-0000-0000-000000000000  shop  ";
        assert_eq!(line(&it), format!("{start}waiting  2023-11-14T22:13:20Z  tries 2"));
        for (state, word) in [
            (DeliveryState::Sending { until: at }, "sending"),
            (DeliveryState::Failed { at, refused: true }, "refused"),
            (DeliveryState::Failed { at, refused: false }, "failed"),
        ] {
            let it = Delivery { state, ..it.clone() };
            assert!(line(&it).starts_with(&format!("{start}{word}  ")));
            assert_eq!(
                (&object(&it)["state"], &object(&it)["client_id"]),
                (&json!(word), &json!("shop"))
            );
        }
    }
}
