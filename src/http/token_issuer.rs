//! Issues tokens: signs the claims of [`crate::domain::token_claims`], and encrypts them for clients that registered so.
//!
//! Used by the token endpoint, by the authorization endpoint for tokens in the front channel, and by the userinfo
//! endpoint for clients that want its response as a JWT.

use std::time::Duration;

use serde_json::{Map, Value};

use crate::domain::clients::Client;
use crate::domain::grants::{AccessTokenId, Grant, OpaqueAccessToken, OpaqueToken, TokenKind};
use crate::domain::resources::Target;
use crate::domain::token_claims::{
    self, HashedValues, ID_TOKEN_TYP, IdTokenInput, RequestedResources, TokenSource,
};
use crate::domain::users::User;
use crate::http::app::App;
use crate::infra::jose;
use crate::infra::secret::Secret;
use crate::protocol::algorithms::ClientAlg;
use crate::protocol::algorithms::{ContentEncryption, KeyManagement};
use crate::protocol::{Confirmation, ErrorCode, OAuthError, Scope, TokenType};

/// Why a token could not be issued. No code or refresh token was used up.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum TokenIssueError {
    /// Signing failed.
    Signature,
    /// The client registered for encryption, and has no key for it.
    NoEncryptionKey,
    /// It would be longer than [`token_claims::MAX_ACCESS_TOKEN_LEN`].
    TooLong,
}

/// An access token that was just made.
pub struct IssuedAccessToken {
    /// The text that the client gets.
    pub token: String,
    /// How the client presents it.
    pub token_type: TokenType,
    /// How long it is valid.
    pub lifetime: Duration,
    /// What it allows; may be less than the grant does.
    pub scope: Scope,
    /// The key that it is bound to: a request that presents it has to prove possession of that.
    pub cnf: Option<Confirmation>,
    /// What the grant has to store for it to be accepted; absent of a JWT.
    pub opaque: Option<OpaqueAccessToken>,
}

/// The audience and the scope of an access token.
pub fn token_target(
    app: &App,
    client: &Client,
    scope: &Scope,
    wanted: RequestedResources<'_>,
) -> Target {
    let audience = token_claims::audience(app.issuer(), client, scope, wanted);
    app.resources().target((app.issuer(), &app.catalogue()), audience, scope)
}

/// The lifetime of an access token: the shortest that the operator set for the client or one of its APIs.
fn access_token_lifetime(app: &App, client: &Client, target: &Target) -> Duration {
    let said = [client.settings.access_token_lifetime, target.lifetime].into_iter().flatten();
    let own = said.min();
    own.map_or(app.config.lifetimes.access_token, |own| Duration::from_secs(own.into()))
}

/// The longest lifetime of any access token of this client.
pub fn max_access_token_lifetime(app: &App, client: &Client) -> Duration {
    let seconds = |own: u32| Duration::from_secs(own.into());
    let own = client.settings.access_token_lifetime.map(seconds);
    let default = own.unwrap_or(app.config.lifetimes.access_token);
    app.resources()
        .max_access_token_lifetime()
        .map_or(default, |longest| default.max(seconds(longest)))
}

/// Issues an access token. One that comes of a grant is revoked with it.
pub async fn issue_access_token(
    app: &App,
    client: &Client,
    source: TokenSource<'_>,
    target: &Target,
) -> Result<IssuedAccessToken, TokenIssueError> {
    let lifetime = access_token_lifetime(app, client, target);
    let grant = source.grant();
    if let Some(grant) = grant.filter(|_| client.settings.opaque_access_tokens) {
        return Ok(issue_opaque(app, grant, target, lifetime));
    }
    let id = AccessTokenId::random(grant.map(|grant| grant.id));
    let person = grant.and_then(|grant| grant.authentication.as_ref());
    let seen_as = person.map(|person| app.subject_for(client, &person.sub));
    let about = (source, seen_as.as_ref());
    let claims = token_claims::access_token_claims(
        app.issuer(),
        client,
        about,
        target,
        id,
        lifetime,
        app.now(),
    );
    let typ = token_claims::access_token_typ(client, target).as_str();
    let token = app.keys.sign(typ, claims).await.map_err(|_| TokenIssueError::Signature)?;
    if token.len() > token_claims::MAX_ACCESS_TOKEN_LEN {
        let client = client.id.as_str();
        tracing::error!(client, "the audience and the scope are too much for one access token");
        return Err(TokenIssueError::TooLong);
    }
    Ok(issued(token, target, source.cnf().cloned(), lifetime, None))
}

fn issue_opaque(
    app: &App,
    grant: &Grant,
    target: &Target,
    lifetime: Duration,
) -> IssuedAccessToken {
    let now = app.now();
    let handle = OpaqueToken { grant: grant.id, secret: Secret::random() };
    let kept = OpaqueAccessToken {
        secret: handle.secret.digest(),
        scope: target.scope.clone(),
        audience: target.audience.clone(),
        issued_at: now,
        expires_at: now.plus(lifetime),
    };
    issued(handle.render(TokenKind::Access), target, grant.cnf.clone(), lifetime, Some(kept))
}

fn issued(
    token: String,
    target: &Target,
    cnf: Option<Confirmation>,
    lifetime: Duration,
    opaque: Option<OpaqueAccessToken>,
) -> IssuedAccessToken {
    let (token_type, scope) = (TokenType::of(cnf.as_ref()), target.scope.clone());
    IssuedAccessToken { token, token_type, lifetime, scope, cnf, opaque }
}

/// Issues the ID token of a grant; `None` where `openid` was not granted.
pub async fn issue_id_token(
    app: &App,
    (client, user): (&Client, &User),
    grant: &Grant,
    beside: HashedValues<'_>,
) -> Result<Option<String>, TokenIssueError> {
    let Some(authentication) =
        grant.authentication.as_ref().filter(|_| grant.scope.contains("openid"))
    else {
        return Ok(None);
    };
    let own = client.settings.id_token_lifetime;
    let lifetime = own.map_or(app.config.lifetimes.id_token, |own| Duration::from_secs(own.into()));
    let sub = app.subject_for(client, &authentication.sub);
    let sid = app.sid_for(client, authentication.sid);
    let subject = IdTokenInput { grant, authentication, client, user, sub: &sub, sid: &sid };
    let registered = &client.metadata;
    let signed = async |subject: IdTokenInput<'_>| {
        let catalogue = app.catalogue();
        let claims = token_claims::id_token_claims(
            app.issuer(),
            subject,
            &catalogue,
            beside,
            lifetime,
            app.now(),
        );
        sign(app, registered.id_token_signed_response_alg, ID_TOKEN_TYP, claims).await
    };
    let mut token = signed(subject).await?;
    if token.len() > jose::MAX_OWN_JWT_LEN {
        // As a hint it would be refused. Userinfo has all of it, if there is an access token to ask with; if there
        // is none, the rest is worth keeping, and groups are what is too much most often.
        for (claims, left_out) in [(user.claims.clone(), "groups"), (Map::new(), "stored claims")] {
            let user = User { claims, groups: Vec::new(), ..user.clone() };
            token = signed(IdTokenInput { user: &user, ..subject }).await?;
            let (client, sub) = (client.id.as_str(), user.sub.as_str());
            tracing::warn!(client, sub, left_out, "too many claims for an ID token");
            if token.len() <= jose::MAX_OWN_JWT_LEN {
                break;
            }
        }
    }
    let (alg, enc) =
        (registered.id_token_encrypted_response_alg, registered.id_token_encrypted_response_enc);
    match alg {
        Some(alg) => {
            encrypt(app, client, (alg, enc), token.as_bytes(), Some("JWT")).await.map(Some)
        }
        None => Ok(Some(token)),
    }
}

/// Signs or encrypts a userinfo response as the client registered, or both ([OpenID Connect Core §5.3.2]); `None` where it registered neither.
///
/// [OpenID Connect Core §5.3.2]: https://openid.net/specs/openid-connect-core-1_0.html#UserInfoResponse
pub async fn encode_userinfo(
    app: &App,
    client: &Client,
    claims: &Map<String, Value>,
) -> Result<Option<String>, TokenIssueError> {
    let registered = &client.metadata;
    let signed = match registered.userinfo_signed_response_alg {
        Some(alg) => {
            let mut claims = claims.clone();
            // "If signed, the UserInfo Response MUST contain the Claims iss … and aud" (§5.3.2).
            claims.insert("iss".into(), app.issuer().into());
            claims.insert("aud".into(), client.id.as_str().into());
            Some(sign(app, alg, ID_TOKEN_TYP, claims).await?)
        }
        None => None,
    };
    let (alg, enc) =
        (registered.userinfo_encrypted_response_alg, registered.userinfo_encrypted_response_enc);
    match (alg, signed) {
        (None, signed) => Ok(signed),
        (Some(alg), Some(token)) => {
            encrypt(app, client, (alg, enc), token.as_bytes(), Some("JWT")).await.map(Some)
        }
        (Some(alg), None) => {
            let plain = serde_json::to_vec(claims).map_err(|_| TokenIssueError::NoEncryptionKey)?;
            encrypt(app, client, (alg, enc), &plain, None).await.map(Some)
        }
    }
}

/// Signs with our key of that algorithm.
async fn sign(
    app: &App,
    alg: ClientAlg,
    typ: &'static str,
    claims: Map<String, Value>,
) -> Result<String, TokenIssueError> {
    app.keys.sign_with(alg, typ, claims).await.map_err(|_| {
        tracing::error!(alg = alg.as_str(), "no signature could be made with a key of ours");
        TokenIssueError::Signature
    })
}

/// Encrypts with a key of the client.
async fn encrypt(
    app: &App,
    client: &Client,
    (alg, enc): (KeyManagement, Option<ContentEncryption>),
    content: &[u8],
    cty: Option<&str>,
) -> Result<String, TokenIssueError> {
    let key = app.client_jwks.encryption_key(&client.metadata, alg, app.now()).await;
    let encrypted =
        key.zip(enc).and_then(|(key, enc)| jose::encrypt(content, alg, enc, &key, cty).ok());
    encrypted.ok_or_else(|| {
        let client = client.id.as_str();
        tracing::warn!(client, alg = alg.as_str(), "no key of the client's to encrypt for it with");
        TokenIssueError::NoEncryptionKey
    })
}

impl From<TokenIssueError> for OAuthError {
    /// A client can repair its own keys, so only those get an error of their own.
    fn from(why: TokenIssueError) -> Self {
        match why {
            TokenIssueError::Signature | TokenIssueError::TooLong => {
                Self::new(ErrorCode::ServerError, "something went wrong here")
            }
            TokenIssueError::NoEncryptionKey => Self::new(
                ErrorCode::InvalidClientMetadata,
                "the keys of the client could not be had, or none of them is for the encryption it registered",
            ),
        }
    }
}
