//! The end session endpoint ([OpenID Connect RP-Initiated Logout]), and how clients are notified: by frames in the
//! browser ([Front-Channel Logout]), by the `check_session_iframe` ([Session Management]), or by back channel, which
//! `logout_notifications` queues and the server's logout worker delivers.
//!
//! `GET` or `POST /logout` with an ID token of the browser's session ends the session at once; otherwise the user is
//! asked, and the form goes to `POST /logout/confirm`. The browser is redirected only to a URI that the client
//! registered. A server's own request gets JSON (`server_request`).
//!
//! Ends sessions, queues notifications.
//!
//! [Front-Channel Logout]: https://openid.net/specs/openid-connect-frontchannel-1_0.html
//! [Session Management]: https://openid.net/specs/openid-connect-session-1_0.html
//! [OpenID Connect RP-Initiated Logout]: https://openid.net/specs/openid-connect-rpinitiated-1_0.html

pub mod check_session;
mod end_session;
mod front_channel;
pub mod handlers;
pub mod page;
mod post_logout_redirect;
mod request;
mod server_request;

use crate::config::Config;
use crate::protocol::ProviderMetadata;

/// Adds this endpoint to the metadata.
pub fn add_metadata(metadata: &mut ProviderMetadata, config: &Config) {
    metadata.end_session_endpoint = Some(config.issuer.url("/logout"));
    metadata.frontchannel_logout_supported = true;
    metadata.frontchannel_logout_session_supported = true;
    metadata.backchannel_logout_supported = true;
    metadata.backchannel_logout_session_supported = true;
    if config.session_management {
        metadata.check_session_iframe = Some(config.issuer.url("/check-session"));
    }
}
