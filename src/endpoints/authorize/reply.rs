//! Sends the answer to an authorization request: the one place that knows how each [`Reply`] travels.

use axum::response::Response;

use crate::domain::authorization_request::Reply;
use crate::domain::clients::Client;
use crate::http::app::App;
use crate::http::authorization_response::{self, ResponseContext};
use crate::http::request_info::RequestInfo;
use crate::http::session_state;
use crate::protocol::OAuthError;

/// The answer.
pub enum ReplyContent {
    /// The parameters of the response ([RFC 6749 §4.1.2], [OpenID Connect Core §3.2.2.5, §3.3.2.5]), but for
    /// `state` and `iss`.
    ///
    /// [RFC 6749 §4.1.2]: https://www.rfc-editor.org/rfc/rfc6749#section-4.1.2
    /// [OpenID Connect Core §3.2.2.5, §3.3.2.5]: https://openid.net/specs/openid-connect-core-1_0.html#ImplicitAuthResponse
    Granted(Vec<(String, String)>),
    /// An error ([RFC 6749 §4.1.2.1]).
    ///
    /// [RFC 6749 §4.1.2.1]: https://www.rfc-editor.org/rfc/rfc6749#section-4.1.2.1
    Refused(OAuthError),
}

/// Where the answer goes, and what it is sent with.
#[derive(Clone, Copy)]
pub struct ReplyOptions<'a> {
    pub client: &'a Client,
    pub reply: &'a Reply,
    /// Whether the answer carries `session_state`, where session management is on ([Session Management §2]).
    ///
    /// [Session Management §2]: https://openid.net/specs/openid-connect-session-1_0.html#CreatingUpdatingSessions
    pub session_state: bool,
    /// Whether the end-user just pressed a button of ours, so that browsers follow any redirect.
    pub after_gesture: bool,
}

/// Sends the answer to the client.
pub fn send(
    app: &App,
    caller: &RequestInfo,
    options: ReplyOptions<'_>,
    answer: ReplyContent,
) -> Response {
    let ReplyOptions { client, reply, session_state, after_gesture } = options;
    match reply {
        Reply::Redirect(to) => {
            let sender = ResponseContext {
                issuer: app.issuer(),
                client_name: client.display_name(),
                after_gesture,
            };
            let state =
                session_state.then(|| session_state::field(app, caller, &client.id, to)).flatten();
            match answer {
                ReplyContent::Granted(mut fields) => {
                    fields.extend(state);
                    authorization_response::success(to, fields, &sender)
                }
                ReplyContent::Refused(error) => {
                    authorization_response::failure(to, &error, state, &sender)
                }
            }
        }
    }
}
