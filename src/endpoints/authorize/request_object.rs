use crate::domain::authorization_request::request_object;
use crate::domain::clients::Client;
use crate::domain::clients::jwks_cache::{ClientJwtError, FetchQueue};
use crate::http::app::App;
use crate::http::request_info::RequestInfo;
use crate::http::request_quota::consume_quota;
use crate::infra::jose;
use crate::infra::outbound::FetchError;
use crate::protocol::algorithms::ClientAlg;
use crate::protocol::{ErrorCode, OAuthError, Params};

/// The longest `request_uri` ([RFC 9101 §5.2](https://www.rfc-editor.org/rfc/rfc9101#section-5.2)).
const MAX_REQUEST_URI_LEN: usize = 512;

/// Why the request object was refused, and where the error goes.
pub struct RequestObjectError {
    pub error: OAuthError,
    /// The parameters that say where the error goes.
    pub reply_params: Params,
}

/// The effective parameters: those of the query, or of the request object, which is fetched from `request_uri` if
/// need be, and verified with the client's keys.
pub async fn resolve_params(
    app: &App,
    caller: &RequestInfo,
    client: &Client,
    outer: &Params,
) -> Result<Params, RequestObjectError> {
    let text = match find_object(app, caller, client, outer).await {
        Ok(None) => return Ok(outer.clone()),
        Ok(Some(text)) => text,
        Err(error) => return Err(RequestObjectError { error, reply_params: outer.clone() }),
    };
    let opened = verify(app, client, outer, &text).await;
    opened.map_err(|error| RequestObjectError {
        error,
        reply_params: request_object::unverified_params(outer, &text),
    })
}

/// The signed object, fetched and decrypted; `None` for a request without one.
async fn find_object(
    app: &App,
    caller: &RequestInfo,
    client: &Client,
    outer: &Params,
) -> Result<Option<String>, OAuthError> {
    let refuse = |code, why| Err(OAuthError::new(code, why));
    let text = match (outer.get("request"), outer.get("request_uri")) {
        (None, None) => return Ok(None),
        (Some(_), Some(_)) => {
            return refuse(ErrorCode::InvalidRequest, "request and request_uri exclude each other");
        }
        (Some(text), None) => text.to_owned(),
        (None, Some(_)) if !app.config.request_uri => {
            return refuse(ErrorCode::RequestUriNotSupported, "request_uri is not supported");
        }
        (None, Some(uri)) => fetch(app, caller, client, uri).await?,
    };
    // Before any work is done: without keys of the client no signature could be verified.
    if client.metadata.jwks.is_none() && client.metadata.jwks_uri.is_none() {
        return Ok(Some(text));
    }
    decrypt(app, text.trim()).await.map(Some)
}

async fn verify(
    app: &App,
    client: &Client,
    outer: &Params,
    text: &str,
) -> Result<Params, OAuthError> {
    let bad = |why| OAuthError::new(ErrorCode::InvalidRequestObject, why);
    let allowed = match client.metadata.request_object_signing_alg {
        Some(only) => vec![only],
        None => ClientAlg::ALL.to_vec(),
    };
    let now = app.now();
    if client.metadata.jwks.is_none() && client.metadata.jwks_uri.is_none() {
        return Err(bad("the client has registered no keys to sign a request object with"));
    }
    let verified = app
        .client_jwks
        .verify(&client.metadata, text, &allowed, FetchQueue::BeforePages, now)
        .await;
    let verified = verified.map_err(|why| {
        tracing::info!(?why, "a request object was not believed");
        match why {
            ClientJwtError::Busy => busy(),
            ClientJwtError::Keys => {
                bad("the keys of the client are not known, or could not be fetched")
            }
            ClientJwtError::Signature(_) => {
                bad("the request object is not signed with a key of the client, as it registered")
            }
        }
    })?;
    request_object::merge_params(outer, &verified, client, app.issuer(), now)
}

/// Decrypts an object that is encrypted for us ([OpenID Connect Core §6.1]): signed inside, like any other.
///
/// [OpenID Connect Core §6.1]: https://openid.net/specs/openid-connect-core-1_0.html#EncryptedRequestObject
async fn decrypt(app: &App, text: &str) -> Result<String, OAuthError> {
    if !jose::is_encrypted(text) {
        return Ok(text.to_owned());
    }
    let bad = OAuthError::new(
        ErrorCode::InvalidRequestObject,
        "the request object is not encrypted for a key of this issuer, or not as is supported here",
    );
    let opened = app.keys.decrypt(text.to_owned()).await.ok();
    opened.and_then(|opened| String::from_utf8(opened).ok()).ok_or(bad)
}

/// Fetches the object. Anyone can make us fetch one, so fetches have limits of their own: few at once, and so many a
/// minute for each address.
async fn fetch(
    app: &App,
    caller: &RequestInfo,
    client: &Client,
    uri: &str,
) -> Result<String, OAuthError> {
    let bad = |why| OAuthError::new(ErrorCode::InvalidRequestUri, why);
    if uri.len() > MAX_REQUEST_URI_LEN || !request_object::is_registered(uri, client) {
        return Err(bad("request_uri is not one of those the client registered"));
    }
    if consume_quota(app, caller, 1).await.is_err() {
        let why = "very many requests came from this address; try again in a minute";
        return Err(OAuthError::new(ErrorCode::TemporarilyUnavailable, why));
    }
    // The fragment names a version of what is there; it is not sent.
    let address = uri.split('#').next().unwrap_or_default();
    app.request_object_client.try_get_text(address).await.map_err(|cause| {
        tracing::warn!(reason = cause.reason(), "a request_uri could not be fetched");
        if matches!(cause, FetchError::Busy) {
            return busy();
        }
        bad("there is no request object at request_uri")
    })
}

fn busy() -> OAuthError {
    let why =
        "very many request objects wait for what their clients keep elsewhere; try again soon";
    OAuthError::new(ErrorCode::TemporarilyUnavailable, why)
}
