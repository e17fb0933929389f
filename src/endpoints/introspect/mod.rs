//! Introspection ([RFC 7662]): what a token is worth right now, for those it concerns.
//!
//! | path | does | writes |
//! |---|---|---|
//! | `POST /introspect` | describes an access or refresh token | nothing |
//!
//! Only clients that can prove who they are may ask. An access token is described to the client it was
//! issued to and to the resources it is for; a refresh token to its client alone. Everybody else, and
//! everybody who asks about a token that is worth nothing, reads the same `{"active":false}` and
//! nothing more ([RFC 7662 §2.2]). No browser calls this, so there is no CORS.
//!
//! [RFC 7662]: https://www.rfc-editor.org/rfc/rfc7662
//! [RFC 7662 §2.2]: https://www.rfc-editor.org/rfc/rfc7662#section-2.2

mod describe;

use axum::Json;
use axum::extract::State;
use axum::response::Response;
use serde_json::json;

use crate::config::Config;
use crate::domain::clients::Client;
use crate::domain::token_claims::{self, AccessTokenError, LONGEST_ACCESS_TOKEN};
use crate::http::app::App;
use crate::http::client::Authenticated;
use crate::http::error::{ApiError, no_store};
use crate::infra::store::StoreError;
use crate::protocol::{AuthMethod, ErrorCode, OAuthError, ProviderMetadata};

const PATH: &str = "/introspect";

/// What discovery says about it: no public clients here.
pub fn advertise(metadata: &mut ProviderMetadata, config: &Config) {
    metadata.introspection_endpoint = Some(config.issuer.url(PATH));
    let methods = config.offer.auth_methods().filter(|method| *method != AuthMethod::None);
    metadata.introspection_endpoint_auth_methods_supported =
        methods.map(AuthMethod::as_str).collect();
    metadata.introspection_endpoint_auth_signing_alg_values_supported =
        config.offer.assertion_alg_names();
}

/// `POST /introspect`. The type hint is not read: the text itself says what it is (RFC 7662 §2.1 makes it a hint only).
pub async fn introspect(
    State(app): State<App>,
    Authenticated { client, params, .. }: Authenticated,
) -> Result<Response, ApiError> {
    if client.metadata.is_public() {
        let text = "a public client may not introspect tokens";
        return Err(ApiError::new(OAuthError::new(ErrorCode::InvalidClient, text)));
    }
    let token = params.get("token").ok_or_else(|| ApiError::invalid("token is required"))?;
    let answer =
        if token.len() > LONGEST_ACCESS_TOKEN { None } else { about(&app, &client, token).await? };
    Ok(no_store(Json(answer.unwrap_or_else(|| json!({ "active": false })))))
}

/// What the caller may know of the token; nothing if it is worth nothing or none of its business.
async fn about(
    app: &App,
    caller: &Client,
    token: &str,
) -> Result<Option<serde_json::Value>, StoreError> {
    if let Some(described) = describe::refresh_token(app, caller, token).await? {
        return Ok(Some(described));
    }
    let issuer = (&app.keys, app.issuer());
    match token_claims::judge_access(&*app.store, issuer, token, None, app.now()).await {
        Ok(access) if describe::concerns(caller, &access) => {
            Ok(Some(describe::access_token(app, caller, &access)))
        }
        Ok(_) => {
            tracing::info!(client = caller.id.as_str(), "asked about somebody else's token");
            Ok(None)
        }
        Err(AccessTokenError::Store(cause)) => Err(cause),
        Err(why) => {
            tracing::debug!(?why, "asked about a token that is not active");
            Ok(None)
        }
    }
}
