//! `latchkey logout`: which applications have still to be told that somebody signed out.

use clap::Subcommand;
use serde_json::{Value, json};

use super::failure::Failure;
use super::shown::moment;
use crate::logouts::{self, Delivery, State};
use crate::store::Store;

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

pub(super) async fn run(command: LogoutCommand, store: &dyn Store) -> Result<String, Failure> {
    let LogoutCommand::List { json } = command;
    let found = logouts::list(store).await?;
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
        "queued_at": moment(it.queued_at), "state": state, "at": at,
    })
}

fn state(it: &Delivery) -> (&'static str, String) {
    match it.state {
        State::Waiting { at } => ("waiting", moment(at)),
        State::Sending { until } => ("sending", moment(until)),
        State::Failed { at, refused: true } => ("refused", moment(at)),
        State::Failed { at, refused: false } => ("failed", moment(at)),
    }
}
