//! The software statement of a registration ([RFC 7591 §3.1.1]).
//!
//! [RFC 7591 §3.1.1]: https://www.rfc-editor.org/rfc/rfc7591#section-3.1.1

use serde_json::{Map, Value};

use crate::domain::clients::Client;
use crate::domain::clients::software_statement::SoftwareStatementVerifier;
use crate::http::app::App;
use crate::http::error::ApiError;
use crate::infra::jose;
use crate::protocol::client_metadata::MEMBERS;
use crate::protocol::{ErrorCode, OAuthError};

const NAME: &str = "software_statement";

/// The members that count: "client metadata values conveyed in the software statement … take precedence
/// over those conveyed using plain JSON values" (§2.3). The statement itself stays among them, to be
/// given back unmodified (§3.2.1).
pub(super) async fn apply(
    app: &App,
    mut members: Map<String, Value>,
) -> Result<Map<String, Value>, ApiError> {
    let statement = match members.get(NAME) {
        None | Some(Value::Null) => return Ok(members),
        Some(Value::String(statement)) => statement,
        Some(Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_)) => {
            return Err(invalid("software_statement must be a string"));
        }
    };
    let verifier = SoftwareStatementVerifier {
        issuers: &app.config.software_statement_issuers,
        keys: &app.client_jwks,
        us: app.issuer(),
        now: app.now(),
    };
    let said = verifier.verify(statement).await?;
    members.extend(said);
    Ok(members)
}

/// Refuses an update that drops the software statement, or replaces it by a weaker one: the client could then set that
/// metadata itself. A new statement has to be of the same issuer and software, and to have every member that the one
/// before had. It is verified after this.
pub(super) fn check_not_dropped(
    members: &Map<String, Value>,
    held: &Client,
) -> Result<(), ApiError> {
    let Some(before) = &held.metadata.software_statement else { return Ok(()) };
    let Some(next) = members.get(NAME).and_then(Value::as_str) else {
        return Err(invalid("software_statement is missing: the client was registered with one"));
    };
    if next == before || vouches_for_as_much(next, before) {
        return Ok(());
    }
    Err(invalid(
        "software_statement: it is of another issuer or software than the one the client was registered \
         with, or vouches for less",
    ))
}

fn vouches_for_as_much(next: &str, before: &str) -> bool {
    let (Some(next), Some(before)) = (jose::parse_unverified(next), jose::parse_unverified(before))
    else {
        return false;
    };
    let (next, before) = (next.claims, before.claims);
    let same = |name: &str| next.get(name) == before.get(name);
    let spoken = MEMBERS.iter().filter(|name| before.contains_key(**name));
    let says = |name: &&str| next.get(*name).is_some_and(|value| !value.is_null());
    same("iss") && same("software_id") && spoken.into_iter().all(says)
}

fn invalid(why: &'static str) -> ApiError {
    OAuthError::new(ErrorCode::InvalidSoftwareStatement, why).into()
}
