//! `latchkey events`: what happened, for a week.

use std::fmt::Write as _;
use std::io::Write as _;
use std::time::{Duration, UNIX_EPOCH};

use clap::Args;
use serde_json::{Value, json};

use super::error::CliError;
use super::operator::Operator;
use super::output::{printable, timestamp};
use crate::domain::events::{STORED_KINDS, StoredEvent};
use crate::infra::clock::UnixTime;
use crate::operations::events::{EventList, List};

/// Which events to show.
#[derive(Debug, Args)]
pub struct EventsArgs {
    /// A span before now, such as 30m or 2d, or a moment such as 2026-11-30T09:00:00Z; at most a week
    #[arg(long, value_name = "SPAN|MOMENT", default_value = "1h")]
    since: String,
    /// Only about this person: user name or subject
    #[arg(long)]
    user: Option<String>,
    /// Only about this client
    #[arg(long, value_name = "CLIENT_ID")]
    client: Option<String>,
    #[arg(long, value_name = "KIND", help = kinds())]
    event: Option<String>,
    /// As a JSON array
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(
    args: EventsArgs,
    operator: &Operator,
    now: UnixTime,
) -> Result<String, CliError> {
    let since = since(&args.since, now)?;
    let asked = List { since, user: args.user, client: args.client, event: args.event };
    let EventList { events, left_out, unknown } = operator.run(asked).await?;
    for why in &unknown {
        let _ = writeln!(std::io::stderr(), "note: {why}");
    }
    if events.is_empty() && unknown.is_empty() && !args.json {
        let _ = writeln!(std::io::stderr(), "note: nothing since {}", timestamp(since));
    }
    if left_out > 0 {
        let _ = writeln!(
            std::io::stderr(),
            "note: {left_out} more were too many to keep in that time; the log of the servers has them"
        );
    }
    if args.json {
        return Ok(format!("{:#}", Value::Array(events.iter().map(object).collect())));
    }
    Ok(events.iter().map(line).collect::<Vec<_>>().join("\n"))
}

fn kinds() -> String {
    format!("Only of this kind: {}", STORED_KINDS.join(", "))
}

fn since(text: &str, now: UnixTime) -> Result<UnixTime, CliError> {
    if let Ok(span) = humantime::parse_duration(text) {
        return Ok(now.minus(span));
    }
    let moment = humantime::parse_rfc3339_weak(text).ok();
    let since = moment.and_then(|at| at.duration_since(UNIX_EPOCH).ok());
    let millis = since.and_then(|since: Duration| u64::try_from(since.as_millis()).ok());
    millis.map(UnixTime::from_millis).ok_or_else(|| {
        let rule =
            "--since must be a span such as 30m or 2d, or a moment such as 2026-11-30T09:00:00Z";
        CliError::Usage(rule.to_owned())
    })
}

fn line(event: &StoredEvent) -> String {
    let mut text = format!("{}  {}", timestamp(event.at), event.event);
    for (name, value) in &event.fields {
        // Writing to a string cannot fail.
        let _ = write!(text, "  {name}={}", printable(value));
    }
    text
}

fn object(event: &StoredEvent) -> Value {
    let mut object = json!({ "at": timestamp(event.at), "event": event.event });
    for (name, value) in &event.fields {
        object[name] = value.clone().into();
    }
    object
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: UnixTime = UnixTime::from_secs(1_700_000_000);

    #[test]
    fn since_is_a_span_or_a_moment() {
        let parsed = |text| since(text, NOW).ok();
        assert_eq!(parsed("90s"), Some(UnixTime::from_secs(1_699_999_910)));
        assert_eq!(parsed("2023-11-14T22:13:00Z"), Some(UnixTime::from_secs(1_699_999_980)));
        assert_eq!(parsed("2023-11-14 22:13:00"), Some(UnixTime::from_secs(1_699_999_980)));
        assert_eq!(parsed("yesterday"), None);
    }

    #[test]
    fn an_event_is_one_line_or_one_object() {
        let fields = [("sub", "a"), ("by", "b\n")];
        let event = StoredEvent {
            at: NOW,
            event: "account_unlocked".to_owned(),
            fields: fields.map(|(name, value)| (name.to_owned(), value.to_owned())).into(),
        };
        assert_eq!(line(&event), "2023-11-14T22:13:20Z  account_unlocked  by=b\u{fffd}  sub=a");
        assert_eq!(object(&event)["sub"], "a");
    }
}
