//! The end of a session ([OpenID Connect RP-Initiated Logout]), and how applications hear of it: in the
//! browser by frames ([Front-Channel Logout]) or by asking ([Session Management]); what goes server to
//! server is queued with `logouts` and delivered by the server's couriers.
//!
//! `GET` or `POST /logout` is where an application sends people to sign out. With a good hint of who it
//! means, and that person here, it happens at once; otherwise the person is asked, and their form comes
//! to `POST /logout/confirm`. Somebody is sent on only to an address that the application registered. A server
//! that asks by itself is answered as a program (`server.rs`).
//!
//! Ends sessions, queues deliveries.
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

/// The room's lines in the metadata.
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
