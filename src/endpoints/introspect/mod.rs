//! Introspection ([RFC 7662]): whether a token is active, for the client and the APIs that it concerns.
//!
//! | path | does | writes |
//! |---|---|---|
//! | `POST /introspect` | describes an access or refresh token | nothing |
//!
//! Only confidential clients may introspect. An access token is described to the client it was issued to and to the
//! resources it is for; a refresh token to its client alone. Any other request, and any request about a token that is not
//! active, gets `{"active":false}` and nothing more ([RFC 7662 §2.2]). No browser calls this, so there is no CORS.
//!
//! [RFC 7662]: https://www.rfc-editor.org/rfc/rfc7662
//! [RFC 7662 §2.2]: https://www.rfc-editor.org/rfc/rfc7662#section-2.2

mod response;

use axum::Json;
use axum::extract::State;
use axum::response::Response;
use serde_json::json;

use crate::config::Config;
use crate::domain::clients::Client;
use crate::domain::token_claims::{self, AccessTokenError, MAX_ACCESS_TOKEN_LEN};
use crate::http::app::App;
use crate::http::authenticated_client::AuthenticatedClient;
use crate::http::error::{ApiError, no_store};
use crate::infra::store::StoreError;
use crate::protocol::{AuthMethod, ErrorCode, OAuthError, ProviderMetadata};

const PATH: &str = "/introspect";

/// Adds the members of this endpoint to the provider metadata: no public clients here.
pub fn add_metadata(metadata: &mut ProviderMetadata, config: &Config) {
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
    AuthenticatedClient { client, params, .. }: AuthenticatedClient,
) -> Result<Response, ApiError> {
    if client.metadata.is_public() {
        let text = "a public client may not introspect tokens";
        return Err(ApiError::new(OAuthError::new(ErrorCode::InvalidClient, text)));
    }
    let token = params.get("token").ok_or_else(|| ApiError::invalid("token is required"))?;
    let answer = if token.len() > MAX_ACCESS_TOKEN_LEN {
        None
    } else {
        describe(&app, &client, token).await?
    };
    Ok(no_store(Json(answer.unwrap_or_else(|| json!({ "active": false })))))
}

/// The response about a token; `None` if it is not active or does not concern the caller.
async fn describe(
    app: &App,
    caller: &Client,
    token: &str,
) -> Result<Option<serde_json::Value>, StoreError> {
    if let Some(described) = response::refresh_token(app, caller, token).await? {
        return Ok(Some(described));
    }
    let issuer = (&app.keys, app.issuer());
    match token_claims::validate_access_token(
        &*app.store,
        issuer,
        token,
        response::NO_PROOF,
        app.now(),
    )
    .await
    {
        Ok(access) if response::may_introspect(caller, &access) => {
            Ok(Some(response::access_token(app, caller, &access)))
        }
        Ok(_) => {
            tracing::info!(client = caller.id.as_str(), "asked about somebody else's token");
            Ok(None)
        }
        Err(AccessTokenError::Store(cause)) => Err(cause),
        Err(why) => {
            tracing::debug!(why = %why.as_str(), "asked about a token that is not active");
            Ok(None)
        }
    }
}
