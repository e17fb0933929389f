//! The authorization endpoint ([RFC 6749 §3.1], [OpenID Connect Core §3.1.2]).
//!
//! `GET` and `POST /authorize` start an authorization request (`handlers`, `request_object`). Each step (login,
//! consent) stores its result in the interaction and redirects back here with `?interaction=…`; `dispatch` asks
//! [`decide`](crate::domain::interactions::decide) for the next step, or answers the client: `response` makes the
//! response and its grant, `reply` sends it.
//!
//! Writes interactions and grants.
//!
//! [RFC 6749 §3.1]: https://www.rfc-editor.org/rfc/rfc6749#section-3.1
//! [OpenID Connect Core §3.1.2]: https://openid.net/specs/openid-connect-core-1_0.html#AuthorizationEndpoint

mod dispatch;
pub mod handlers;
mod reply;
mod request_object;
mod response;

use crate::config::Config;
use crate::protocol::algorithms::{ClientAlg, ContentEncryption, KeyManagement};
use crate::protocol::{Acr, ProviderMetadata, ResponseMode};

/// Adds this endpoint to the metadata.
pub fn add_metadata(metadata: &mut ProviderMetadata, config: &Config) {
    metadata.authorization_endpoint = Some(config.issuer.url("/authorize"));
    let responses = &config.offer.response_types;
    metadata.response_types_supported = responses.iter().map(|it| it.as_str()).collect();
    metadata.response_modes_supported = ResponseMode::ALL.iter().map(|it| it.as_str()).collect();
    metadata.request_parameter_supported = true;
    metadata.request_uri_parameter_supported = config.request_uri;
    metadata.require_request_uri_registration = config.request_uri;
    metadata.request_object_signing_alg_values_supported =
        ClientAlg::ALL.iter().map(|it| it.as_str()).collect();
    if config.key_ring.request_object_encryption {
        metadata.request_object_encryption_alg_values_supported =
            [KeyManagement::RsaOaep256, KeyManagement::EcdhEs].map(KeyManagement::as_str).into();
        metadata.request_object_encryption_enc_values_supported =
            ContentEncryption::ALL.iter().map(|it| it.as_str()).collect();
    }
    metadata.code_challenge_methods_supported = vec!["S256"];
    metadata.prompt_values_supported = vec!["none", "login", "consent", "select_account"];
    metadata.display_values_supported = vec!["page", "popup"];
    metadata.ui_locales_supported = vec!["en"];
    metadata.acr_values_supported = Acr::ALL.iter().map(|it| it.as_str()).collect();
    metadata.claims_parameter_supported = true;
    metadata.authorization_response_iss_parameter_supported = true;
}
