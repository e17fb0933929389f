//! The userinfo endpoint ([OpenID Connect Core §5.3]): the claims of the user that a client may have, as JSON or as the JWT
//! that it registered for.
//!
//! | path | does | writes |
//! |---|---|---|
//! | `GET /userinfo`, `POST /userinfo` | claims for an access token with `openid` | nothing |
//!
//! [OpenID Connect Core §5.3]: https://openid.net/specs/openid-connect-core-1_0.html#UserInfo

use axum::Json;
use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::response::Response;

use crate::config::Config;
use crate::domain::grants::KeyProof;
use crate::domain::token_claims::{self, AccessTokenError, ValidAccessToken};
use crate::http::app::App;
use crate::http::cors::CorsClient;
use crate::http::error::{ApiError, no_store};
use crate::http::presented_token::{self, HeaderOrForm};
use crate::http::token_issuer;
use crate::protocol::algorithms::{ContentEncryption, KeyManagement};
use crate::protocol::{OAuthError, ProviderMetadata};

const PATH: &str = "/userinfo";

/// Adds the members of this endpoint to the provider metadata.
pub fn add_metadata(metadata: &mut ProviderMetadata, config: &Config) {
    metadata.userinfo_endpoint = Some(config.issuer.url(PATH));
    metadata.userinfo_signing_alg_values_supported =
        config.offer.signing_algs.iter().map(|alg| alg.as_str()).collect();
    metadata.userinfo_encryption_alg_values_supported =
        KeyManagement::ALL.iter().map(|alg| alg.as_str()).collect();
    metadata.userinfo_encryption_enc_values_supported =
        ContentEncryption::ALL.iter().map(|enc| enc.as_str()).collect();
}

/// `GET` and `POST /userinfo`: the claims as they are now. The token must be for us, and an end-user must have
/// granted it.
pub async fn userinfo(
    State(app): State<App>,
    cors_client: CorsClient,
    HeaderOrForm(presented): HeaderOrForm,
) -> Result<Response, ApiError> {
    let app = &app;
    let judged = token_claims::validate_access_token(
        &*app.store,
        (&app.keys, app.issuer()),
        &presented.token,
        KeyProof::Presented(presented.proven_key.as_ref()),
        app.now(),
    );
    let access = match judged.await {
        Ok(access) => access,
        Err(AccessTokenError::Store(cause)) => return Err(cause.into()),
        Err(why) => {
            tracing::info!(why = %why.as_str(), "userinfo was refused");
            return Err(presented_token::invalid());
        }
    };
    cors_client.set_client(&access.holder.client);
    if !access.audience.iter().any(|resource| resource == app.issuer()) {
        return Err(presented_token::invalid());
    }
    if !access.scope.contains("openid") {
        return Err(presented_token::insufficient_scope("openid"));
    }
    let ValidAccessToken { scope, grant: Some(grant), holder, .. } = &access else {
        return Err(presented_token::invalid());
    };
    let user = holder.user.as_ref().ok_or_else(presented_token::invalid)?;
    app.unused_userinfo.record_userinfo(&holder.client.id);
    let seen_as = app.subject_for(&holder.client, &user.sub);
    let about = (user, &seen_as);
    let (client, asked) = (&holder.client, &grant.claims);
    let claims = token_claims::userinfo_claims(about, client, scope, asked, &app.catalogue());
    match token_issuer::encode_userinfo(app, &holder.client, &claims)
        .await
        .map_err(OAuthError::from)?
    {
        Some(token) => Ok(no_store(([(CONTENT_TYPE, "application/jwt")], token))),
        None => Ok(no_store(Json(claims))),
    }
}
