//! The userinfo endpoint ([OpenID Connect Core §5.3]): what a client may know of the person who signed
//! in, as JSON or as the token the client registered to have.
//!
//! | path | does | writes |
//! |---|---|---|
//! | `GET /userinfo`, `POST /userinfo` | claims for an access token with `openid` | nothing |
//!
//! [OpenID Connect Core §5.3]: https://openid.net/specs/openid-connect-core-1_0.html#UserInfo

use axum::Json;
use axum::extract::{Request, State};
use axum::http::header::CONTENT_TYPE;
use axum::http::request::Parts;
use axum::http::{Method, Uri};
use axum::response::Response;

use crate::config::Config;
use crate::domain::token_claims::{self, Access};
use crate::http::app::App;
use crate::http::cors::Asker;
use crate::http::error::{ApiError, no_store};
use crate::http::token_issuer;
use crate::http::{bearer, form};
use crate::protocol::algorithms::{ContentEncryption, KeyManagement};
use crate::protocol::{Metadata, OAuthError, Params};

const PATH: &str = "/userinfo";

/// What discovery says about it.
pub fn advertise(metadata: &mut Metadata, config: &Config) {
    metadata.userinfo_endpoint = Some(config.issuer.url(PATH));
    metadata.userinfo_signing_alg_values_supported =
        config.offer.signing_algs.iter().map(|alg| alg.as_str()).collect();
    metadata.userinfo_encryption_alg_values_supported =
        KeyManagement::ALL.iter().map(|alg| alg.as_str()).collect();
    metadata.userinfo_encryption_enc_values_supported =
        ContentEncryption::ALL.iter().map(|enc| enc.as_str()).collect();
}

/// `GET` and `POST /userinfo`.
pub async fn userinfo(State(app): State<App>, request: Request) -> Result<Response, ApiError> {
    let (parts, body) = request.into_parts();
    refuse_token_in_query(&parts.uri)?;
    let form = match form::media_type(&parts.headers).as_deref() {
        Some("application/x-www-form-urlencoded") if parts.method == Method::POST => {
            Some(form::read_form(&parts.headers, body, |name| name == "access_token").await?)
        }
        // A POST may carry nothing, or anything else, beside its Authorization header.
        Some(_) | None => None,
    };
    describe(&app, &parts, form.as_ref()).await
}

/// Answers the claims as they are now. The token must be for us, and a person must be behind it.
async fn describe(app: &App, parts: &Parts, form: Option<&Params>) -> Result<Response, ApiError> {
    let token = bearer::from_either(&parts.headers, form)?.ok_or_else(bearer::missing)?;
    let judged = token_claims::judge_access(&*app.store, &app.keys, app.issuer(), token, app.now());
    let access = match judged.await? {
        Ok(access) => access,
        Err(why) => {
            tracing::info!(?why, "userinfo was refused");
            return Err(bearer::invalid());
        }
    };
    if let Some(asker) = Asker::of(&parts.extensions) {
        asker.is(&access.holder.client);
    }
    if !access.audience.iter().any(|resource| resource == app.issuer()) {
        return Err(bearer::invalid());
    }
    if !access.scope.contains("openid") {
        return Err(bearer::insufficient("openid"));
    }
    let Access { scope, grant: Some(grant), holder, .. } = &access else {
        return Err(bearer::invalid());
    };
    let user = holder.user.as_ref().ok_or_else(bearer::invalid)?;
    app.unasked.asked(&holder.client.id);
    let seen_as = app.seen_by(&holder.client, &user.sub);
    let about = (user, &seen_as);
    let (client, asked) = (&holder.client, &grant.claims);
    let claims = token_claims::userinfo_claims(about, client, scope, asked, &app.catalogue());
    match token_issuer::userinfo(app, &holder.client, &claims).await.map_err(OAuthError::from)? {
        Some(token) => Ok(no_store(([(CONTENT_TYPE, "application/jwt")], token))),
        None => Ok(no_store(Json(claims))),
    }
}

/// Addresses are logged and remembered everywhere, so a token that came in one is not taken, wherever
/// else it may be ([RFC 9700 §4.3.2]).
///
/// [RFC 9700 §4.3.2]: https://www.rfc-editor.org/rfc/rfc9700#section-4.3.2
fn refuse_token_in_query(uri: &Uri) -> Result<(), ApiError> {
    let query = uri.query().unwrap_or_default();
    if url::form_urlencoded::parse(query.as_bytes()).any(|(name, _)| name == "access_token") {
        return Err(bearer::invalid_request("the access token must not be in the URL"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_in_the_address_is_found_however_it_is_spelled() {
        for (address, fine) in [
            ("/userinfo", true),
            ("/userinfo?schema=openid", true),
            ("/userinfo?not_access_token=x", true),
            ("/userinfo?access_token=x", false),
            ("/userinfo?a=b&access%5Ftoken=x", false),
            ("/userinfo?access_token", false),
        ] {
            let uri: Uri = address.parse().unwrap();
            assert_eq!(refuse_token_in_query(&uri).is_ok(), fine, "{address}");
        }
    }
}
