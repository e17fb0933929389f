//! The `session_state` that goes with an authorization answer ([Session Management §2]).
//!
//! [Session Management §2]: https://openid.net/specs/openid-connect-session-1_0.html#CreatingUpdatingSessions

use super::request_info::RequestInfo;
use crate::domain::authorization_request::Destination;
use crate::domain::clients::ClientId;
use crate::http::app::App;
use crate::infra::random;
use crate::infra::secret::base64url;
use crate::protocol::redirect_uri::web_origin;
use crate::protocol::session_state::session_state;

/// The field for this answer, where session management is on. An application that is no web page has no
/// origin to ask from, and gets none.
pub fn field(
    app: &App,
    caller: &RequestInfo,
    client: &ClientId,
    to: &Destination,
) -> Option<(String, String)> {
    let origin = web_origin(to.redirect_uri()).filter(|_| app.config.session_management)?;
    let salt = base64url(&random::bytes::<12>());
    let value = session_state(client.as_str(), &origin, &caller.browser_state, &salt);
    Some(("session_state".to_owned(), value))
}
