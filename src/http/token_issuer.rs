//! Making tokens: the claims of [`crate::domain::token_claims`], put under the house's signature.
//!
//! Both endpoints that issue come here: the token endpoint, and the authorization endpoint for what goes
//! through the browser. And the userinfo endpoint, for clients that want its answer as a token.

use std::time::Duration;

use serde_json::{Map, Value};

use crate::domain::clients::Client;
use crate::domain::grants::{AccessId, Grant, Handle, Opaque, Use};
use crate::domain::resources::Target;
use crate::domain::token_claims::{self, Behind, Beside, ID_TYP, IdSubject, Wanted};
use crate::domain::users::User;
use crate::http::app::App;
use crate::infra::jose;
use crate::infra::secret::Secret;
use crate::protocol::algorithms::ClientAlg;
use crate::protocol::algorithms::{ContentEncryption, KeyManagement};
use crate::protocol::{Confirmation, ErrorCode, OAuthError, Scope, TokenType};

/// Why there is no token. Nothing was spent for it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum NotMade {
    /// A signature could not be made.
    Signature,
    /// The client wants it encrypted, and has no key for that.
    Recipient,
    /// It would be longer than what is read of it here.
    Length,
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
    /// The key that it is bound to: whoever presents it proves to hold that.
    pub cnf: Option<Confirmation>,
    /// What the grant has to store for it to be accepted; absent of a JWT.
    pub opaque: Option<Opaque>,
}

/// What an access token of this client is for.
pub fn target(app: &App, client: &Client, scope: &Scope, wanted: Wanted<'_>) -> Target {
    let audience = token_claims::audience(app.issuer(), client, scope, wanted);
    app.resources().target((app.issuer(), &app.catalogue()), audience, scope)
}

/// How long such an access token is good: as long as the operator says of the client or of its APIs, by the
/// shortest of these.
fn access_lifetime(app: &App, client: &Client, target: &Target) -> Duration {
    let said = [client.settings.access_token_lifetime, target.lifetime].into_iter().flatten();
    let own = said.min();
    own.map_or(app.config.lifetimes.access_token, |own| Duration::from_secs(own.into()))
}

/// The longest that an access token of this client is good, whatever it is for.
pub fn longest_access_lifetime(app: &App, client: &Client) -> Duration {
    let seconds = |own: u32| Duration::from_secs(own.into());
    let own = client.settings.access_token_lifetime.map(seconds);
    let default = own.unwrap_or(app.config.lifetimes.access_token);
    app.resources().longest_lifetime().map_or(default, |longest| default.max(seconds(longest)))
}

/// An access token for this client; with a grant, it is one of its credentials.
pub async fn access_token(
    app: &App,
    client: &Client,
    behind: Behind<'_>,
    target: &Target,
) -> Result<IssuedAccessToken, NotMade> {
    let lifetime = access_lifetime(app, client, target);
    let grant = behind.grant();
    if let Some(grant) = grant.filter(|_| client.settings.opaque_access_tokens) {
        return Ok(opaque(app, grant, target, lifetime));
    }
    let id = AccessId::fresh(grant.map(|grant| grant.id));
    let person = grant.and_then(|grant| grant.person.as_ref());
    let seen_as = person.map(|person| app.seen_by(client, &person.sub));
    let about = (behind, seen_as.as_ref());
    let claims =
        token_claims::access_claims(app.issuer(), client, about, target, id, lifetime, app.now());
    let typ = token_claims::access_typ(client, target).as_str();
    let token = app.keys.sign(typ, claims).await.map_err(|_| NotMade::Signature)?;
    if token.len() > token_claims::LONGEST_ACCESS_TOKEN {
        let client = client.id.as_str();
        tracing::error!(client, "the audience and the scope are too much for one access token");
        return Err(NotMade::Length);
    }
    let cnf = grant.and_then(|grant| grant.cnf.clone());
    Ok(issued(token, target, cnf, lifetime, None))
}

fn opaque(app: &App, grant: &Grant, target: &Target, lifetime: Duration) -> IssuedAccessToken {
    let now = app.now();
    let handle = Handle { grant: grant.id, secret: Secret::random() };
    let kept = Opaque {
        secret: handle.secret.digest(),
        scope: target.scope.clone(),
        audience: target.audience.clone(),
        issued_at: now,
        expires_at: now.plus(lifetime),
    };
    issued(handle.render(Use::Access), target, grant.cnf.clone(), lifetime, Some(kept))
}

fn issued(
    token: String,
    target: &Target,
    cnf: Option<Confirmation>,
    lifetime: Duration,
    opaque: Option<Opaque>,
) -> IssuedAccessToken {
    let scope = target.scope.clone();
    IssuedAccessToken { token, token_type: TokenType::Bearer, lifetime, scope, cnf, opaque }
}

/// The ID token of a grant with a person in it; `None` where `openid` was not granted.
pub async fn id_token(
    app: &App,
    (client, user): (&Client, &User),
    grant: &Grant,
    beside: Beside<'_>,
) -> Result<Option<String>, NotMade> {
    let Some(person) = grant.person.as_ref().filter(|_| grant.scope.contains("openid")) else {
        return Ok(None);
    };
    let own = client.settings.id_token_lifetime;
    let lifetime = own.map_or(app.config.lifetimes.id_token, |own| Duration::from_secs(own.into()));
    let seen_as = app.seen_by(client, &person.sub);
    let sid = app.session_seen_by(client, person.sid);
    let subject = IdSubject { grant, person, client, user, seen_as: &seen_as, sid: &sid };
    let registered = &client.metadata;
    let signed = async |subject: IdSubject<'_>| {
        let catalogue = app.catalogue();
        let claims =
            token_claims::id_claims(app.issuer(), subject, &catalogue, beside, lifetime, app.now());
        sign(app, registered.id_token_signed_response_alg, ID_TYP, claims).await
    };
    let mut token = signed(subject).await?;
    if token.len() > jose::LONGEST_OURS {
        // As a hint it would be refused. Userinfo has all of it, if there is an access token to ask with; if there
        // is none, the rest is worth keeping, and groups are what is too much most often.
        for (claims, left_out) in [(user.claims.clone(), "groups"), (Map::new(), "stored claims")] {
            let user = User { claims, groups: Vec::new(), ..user.clone() };
            token = signed(IdSubject { user: &user, ..subject }).await?;
            let (client, sub) = (client.id.as_str(), user.sub.as_str());
            tracing::warn!(client, sub, left_out, "too many claims for an ID token");
            if token.len() <= jose::LONGEST_OURS {
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

/// The claims of the userinfo endpoint as this client registered to have them: a signed token, an
/// encrypted one, or one in the other ([OpenID Connect Core §5.3.2]); `None` where plain JSON will do.
///
/// [OpenID Connect Core §5.3.2]: https://openid.net/specs/openid-connect-core-1_0.html#UserInfoResponse
pub async fn userinfo(
    app: &App,
    client: &Client,
    claims: &Map<String, Value>,
) -> Result<Option<String>, NotMade> {
    let registered = &client.metadata;
    let signed = match registered.userinfo_signed_response_alg {
        Some(alg) => {
            let mut claims = claims.clone();
            // "If signed, the UserInfo Response MUST contain the Claims iss … and aud" (§5.3.2).
            claims.insert("iss".into(), app.issuer().into());
            claims.insert("aud".into(), client.id.as_str().into());
            Some(sign(app, alg, ID_TYP, claims).await?)
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
            let plain = serde_json::to_vec(claims).map_err(|_| NotMade::Recipient)?;
            encrypt(app, client, (alg, enc), &plain, None).await.map(Some)
        }
    }
}

/// Signed with our key of that algorithm.
async fn sign(
    app: &App,
    alg: ClientAlg,
    typ: &'static str,
    claims: Map<String, Value>,
) -> Result<String, NotMade> {
    app.keys.sign_with(alg, typ, claims).await.map_err(|_| {
        tracing::error!(alg = alg.as_str(), "no signature could be made with a key of ours");
        NotMade::Signature
    })
}

/// Encrypted with a key of the client's own.
async fn encrypt(
    app: &App,
    client: &Client,
    (alg, enc): (KeyManagement, Option<ContentEncryption>),
    content: &[u8],
    cty: Option<&str>,
) -> Result<String, NotMade> {
    let key = app.client_keys.recipient(&client.metadata, alg, app.now()).await;
    let encrypted =
        key.zip(enc).and_then(|(key, enc)| jose::encrypt(content, alg, enc, &key, cty).ok());
    encrypted.ok_or_else(|| {
        let client = client.id.as_str();
        tracing::warn!(client, alg = alg.as_str(), "no key of the client's to encrypt for it with");
        NotMade::Recipient
    })
}

impl From<NotMade> for OAuthError {
    /// The client can do something about its own keys, and nothing about ours.
    fn from(why: NotMade) -> Self {
        match why {
            NotMade::Signature | NotMade::Length => {
                Self::new(ErrorCode::ServerError, "something went wrong here")
            }
            NotMade::Recipient => Self::new(
                ErrorCode::InvalidClientMetadata,
                "the keys of the client could not be had, or none of them is for the encryption it registered",
            ),
        }
    }
}
