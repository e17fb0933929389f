use super::{AuthorizationRequest, Reply, to_query};
use crate::domain::clients::{Client, RegistrationSource};
use crate::domain::resources::ResourceCatalogue;
use crate::protocol::claims::{ClaimsRequest, ScopeCatalogue};
use crate::protocol::{
    Acr, CodeChallenge, ErrorCode, GrantType, OAuthError, Params, Prompt, RequirePkce,
    ResponseMode, ResponseType, Scope, Subject, resource,
};

/// The longest `nonce`, in bytes.
const MAX_NONCE_LEN: usize = 1_024;

/// The subject of the `id_token_hint`, which the caller has verified.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum HintedSubject {
    /// There was no hint.
    Absent,
    /// An ID token of ours, expired or not, about this subject.
    Is(Subject),
    /// Not an ID token of ours.
    Unreadable,
}

/// What this server offers, and requires of requests.
#[derive(Clone, Copy, Debug)]
pub struct RequestPolicy<'a> {
    pub issuer: &'a str,
    pub catalogue: &'a ScopeCatalogue,
    pub resources: &'a ResourceCatalogue,
    pub response_types: &'a [ResponseType],
    pub require_pkce: RequirePkce,
}

/// Validates an authorization request; an error goes to the client by `reply`.
///
/// The order of checks: what is not supported, the kind of request, what is malformed, what this client may not do,
/// and only then what it asks about the end-user. So the error names the first thing that a developer has to fix.
pub fn validate(
    params: &Params,
    client: &Client,
    reply: Reply,
    policy: RequestPolicy<'_>,
    hinted: HintedSubject,
) -> Result<AuthorizationRequest, OAuthError> {
    let catalogue = policy.catalogue;
    check_support(params)?;
    let response_type = check_response(params, client, policy.response_types)?;
    if params.get("nonce").is_some_and(|nonce| nonce.len() > MAX_NONCE_LEN) {
        return Err(invalid_owned(&format!("nonce is longer than {MAX_NONCE_LEN} bytes")));
    }
    let prompt = params.get("prompt").map_or(Ok(Prompt::default()), Prompt::parse);
    let prompt = prompt.map_err(|_| invalid("prompt has none beside another value"))?;
    let max_age = read_max_age(params)?.or(client.metadata.default_max_age.map(u64::from));
    let resources = resource::asked(params)?;
    policy.resources.check(policy.issuer, client, &resources)?;
    let default_scope = policy.resources.default_scope(client, &resources);
    let challenge =
        check_pkce(params, (client, &default_scope), response_type, policy.require_pkce)?;
    let scope = check_scope(params, (client, &default_scope), policy, response_type)?;
    let claims = params.get("claims").map_or(Ok(ClaimsRequest::default()), ClaimsRequest::parse);
    let claims =
        claims.map_err(|_| invalid("claims is not the JSON of OpenID Connect Core 5.5"))?;
    let hinted = read_hint(hinted, &claims)?;
    let wants_acr = wants_acr(params, client, &claims)?;
    Ok(AuthorizationRequest {
        client: client.id.clone(),
        reply,
        response_type,
        nonce: params.get("nonce").map(str::to_owned),
        challenge,
        prompt,
        max_age,
        login_hint: params
            .get("login_hint")
            .filter(|hint| is_username_length(hint))
            .map(str::to_owned),
        hinted,
        wants_acr,
        claims: {
            let allowed = allowed_claims(claims, &scope, client, catalogue);
            if max_age.is_some() { allowed.with_auth_time() } else { allowed }
        },
        scope,
        resources,
        query: to_query(params)?,
    })
}

/// Whether a hint is no longer than the longest user name, 255 characters.
fn is_username_length(hint: &str) -> bool {
    hint.chars().nth(255).is_none()
}

/// Request objects are resolved before this. The `registration` parameter is not supported, and the error that says
/// so is required (OpenID Connect Core §3.1.2.6).
fn check_support(params: &Params) -> Result<(), OAuthError> {
    match params.get("registration") {
        Some(_) => Err(OAuthError::new(
            ErrorCode::RegistrationNotSupported,
            "the registration parameter is not supported",
        )),
        None => Ok(()),
    }
}

/// What is asked for has to be offered here, registered by this client, and able to travel so.
fn check_response(
    params: &Params,
    client: &Client,
    offered: &[ResponseType],
) -> Result<ResponseType, OAuthError> {
    let asked = params.get("response_type").ok_or(invalid("response_type is missing"))?;
    let asked = ResponseType::parse_unordered(asked).filter(|asked| offered.contains(asked));
    let response = asked.ok_or(OAuthError::new(
        ErrorCode::UnsupportedResponseType,
        "this response_type is not one of response_types_supported",
    ))?;
    if let Some(mode) = params.get("response_mode") {
        let mode = ResponseMode::parse(mode)
            .ok_or(invalid("response_mode is none of query, fragment and form_post"))?;
        if !mode.is_allowed_for(response) {
            return Err(invalid("response_mode=query may not carry tokens"));
        }
    }
    // `none` asks for nothing that would have to be registered.
    if response == ResponseType::None || client.metadata.response_types.contains(&response) {
        return Ok(response);
    }
    Err(OAuthError::new(
        ErrorCode::UnauthorizedClient,
        "this client is not registered for this response_type",
    ))
}

fn read_max_age(params: &Params) -> Result<Option<u64>, OAuthError> {
    let Some(text) = params.get("max_age") else { return Ok(None) };
    let digits = text.len() <= 9 && text.bytes().all(|byte| byte.is_ascii_digit());
    let seconds = digits.then(|| text.parse().ok()).flatten();
    seconds.map(Some).ok_or(invalid("max_age is not a whole number of seconds"))
}

/// Something has to tie the code to the session it is for: PKCE of a public client, either PKCE or a nonce
/// of a confidential one ([RFC 9700 §2.1.1]), as the operator has it.
///
/// [RFC 9700 §2.1.1]: https://www.rfc-editor.org/rfc/rfc9700#section-2.1.1
fn check_pkce(
    params: &Params,
    (client, default_scope): (&Client, &Scope),
    response: ResponseType,
    require_pkce: RequirePkce,
) -> Result<Option<CodeChallenge>, OAuthError> {
    // An ID token from the browser is only worth something to who knows what it answers (OpenID Connect
    // Core §3.2.2.1, §3.3.2.11).
    if response.has_id_token() && params.get("nonce").is_none() {
        return Err(invalid("nonce is missing: an ID token in the authorization answer needs it"));
    }
    if !response.has_code() {
        return Ok(None);
    }
    let method = params.get("code_challenge_method");
    if let Some(challenge) = params.get("code_challenge") {
        let challenge = CodeChallenge::parse(challenge, method);
        return challenge.map(Some).map_err(|_| {
            invalid("code_challenge is 43 characters of base64url, with code_challenge_method=S256")
        });
    }
    if method.is_some() {
        return Err(invalid("code_challenge_method without code_challenge"));
    }
    let has_nonce = asks_for_openid(params, default_scope) && params.get("nonce").is_some();
    match CodeBinding::of(client, require_pkce) {
        CodeBinding::Pkce(why) => Err(invalid(why)),
        CodeBinding::PkceOrNonce if !has_nonce => Err(invalid(
            "code_challenge is missing, and so is nonce: PKCE with S256 is required, or in a request for \
             openid a nonce (see REQUIRE_PKCE)",
        )),
        CodeBinding::PkceOrNonce | CodeBinding::Nothing => Ok(None),
    }
}

/// What has to tie a code to the session it is for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum CodeBinding {
    /// PKCE; with the sentence for a request without it.
    Pkce(&'static str),
    /// PKCE, or a nonce.
    PkceOrNonce,
    /// Nothing beside the client's own credentials.
    Nothing,
}

impl CodeBinding {
    /// The operator's word for one client counts before that for all. A client that registered itself has
    /// none of its own.
    fn of(client: &Client, all: RequirePkce) -> Self {
        if client.metadata.is_public() {
            return Self::Pkce(
                "code_challenge is missing: PKCE with S256 is required of public clients",
            );
        }
        let (pkce, nonce) = match client.source {
            RegistrationSource::Operator => {
                (client.settings.require_pkce, client.settings.require_nonce)
            }
            RegistrationSource::Registered => (None, None),
        };
        if pkce == Some(true) {
            return Self::Pkce(
                "code_challenge is missing: PKCE with S256 is required of this client (see its setting \
                 require_pkce)",
            );
        }
        if pkce.is_none() && all == RequirePkce::All {
            return Self::Pkce(
                "code_challenge is missing: PKCE with S256 is required of every client here (see \
                 REQUIRE_PKCE)",
            );
        }
        if nonce.unwrap_or(all != RequirePkce::Public) { Self::PkceOrNonce } else { Self::Nothing }
    }
}

fn asks_for_openid(params: &Params, default: &Scope) -> bool {
    params.get("scope").map_or_else(
        || default.contains("openid"),
        |scope| scope.split(' ').any(|it| it == "openid"),
    )
}

/// What this client may have of what it asks for; the rest is dropped and the token response says so
/// ([RFC 6749 §3.3]). `offline_access` needs the refresh grant ([OpenID Connect Core §11]).
///
/// [RFC 6749 §3.3]: https://www.rfc-editor.org/rfc/rfc6749#section-3.3
/// [OpenID Connect Core §11]: https://openid.net/specs/openid-connect-core-1_0.html#OfflineAccess
fn check_scope(
    params: &Params,
    (client, default): (&Client, &Scope),
    policy: RequestPolicy<'_>,
    response: ResponseType,
) -> Result<Scope, OAuthError> {
    let wrong = |description| OAuthError::new(ErrorCode::InvalidScope, description);
    let asked = params.get("scope").map_or_else(|| Ok(default.clone()), str::parse);
    let asked = asked.map_err(|_| wrong("scope is not a list of words of printable ASCII"))?;
    let known = |token: &str| {
        policy.catalogue.get(token).is_some()
            || client.metadata.scope.as_ref().is_some_and(|it| it.contains(token))
            || policy.resources.knows_scope(client, token)
    };
    let mut allowed = asked.intersection(&policy.resources.max_scope(client));
    for token in asked.iter().filter(|token| !known(token)) {
        allowed = allowed.without(token);
    }
    let refreshes = client.metadata.grant_types.contains(&GrantType::RefreshToken);
    if !refreshes || !response.has_code() {
        allowed = allowed.without("offline_access");
    }
    if allowed.is_empty() {
        return Err(wrong(match params.get("scope") {
            Some(_) => "scope names nothing this client may have; for sign-in it needs openid",
            None => "scope is missing, and what this client asks for then is nothing it may have",
        }));
    }
    if response.has_id_token() && !allowed.contains("openid") {
        return Err(wrong("an ID token needs the openid scope"));
    }
    Ok(allowed)
}

/// The single claims this client may have: those that a scope within its registration would give. The
/// parameter is a finer way to ask, not a way around the registration ([RFC 7591 §2], `scope`); the rest is
/// dropped, as a scope would be ([OpenID Connect Core §5.5.1]). Without `openid` nothing would ever carry
/// them.
///
/// [RFC 7591 §2]: https://www.rfc-editor.org/rfc/rfc7591#section-2
/// [OpenID Connect Core §5.5.1]: https://openid.net/specs/openid-connect-core-1_0.html#IndividualClaimsRequests
fn allowed_claims(
    asked: ClaimsRequest,
    scope: &Scope,
    client: &Client,
    catalogue: &ScopeCatalogue,
) -> ClaimsRequest {
    if scope.contains("openid") {
        asked.restricted_to(&catalogue.claims_for(&client.max_scope()))
    } else {
        ClaimsRequest::default()
    }
}

/// The hint, or a `sub` the `claims` parameter insists on (§5.5.1).
fn read_hint(hinted: HintedSubject, claims: &ClaimsRequest) -> Result<Option<Subject>, OAuthError> {
    let nobody = OAuthError::new(ErrorCode::LoginRequired, "the demanded sub is nobody here");
    let mut wanted = match hinted {
        HintedSubject::Absent => None,
        HintedSubject::Is(sub) => Some(sub),
        HintedSubject::Unreadable => {
            return Err(invalid("id_token_hint is not an ID token of this issuer"));
        }
    };
    for wish in [claims.id_token.get("sub"), claims.userinfo.get("sub")].into_iter().flatten() {
        let [demanded] = wish.values.as_slice() else { continue };
        let demanded = demanded.as_str().and_then(Subject::parse).ok_or_else(|| nobody.clone())?;
        if wanted.as_ref().is_some_and(|hinted| *hinted != demanded) {
            return Err(nobody);
        }
        wanted = Some(demanded);
    }
    Ok(wanted)
}

/// Whether the ID token is to say the `acr`. A class that is asked for as voluntary and was not reached is
/// left out; "if this is an Essential Claim and the requirement cannot be met, then the Authorization
/// Server MUST treat that outcome as a failed authentication attempt" ([OpenID Connect Core §5.5.1.1]).
///
/// [OpenID Connect Core §5.5.1.1]: https://openid.net/specs/openid-connect-core-1_0.html#acrSemantics
fn wants_acr(params: &Params, client: &Client, claims: &ClaimsRequest) -> Result<bool, OAuthError> {
    let Some(wish) = claims.id_token.get("acr") else {
        let asked = params.get("acr_values").is_some();
        return Ok(asked || !client.metadata.default_acr_values.is_empty());
    };
    let reached = Acr::ALL.iter().any(|acr| wish.accepts(&acr.as_str().into()));
    if wish.essential && !reached {
        return Err(OAuthError::new(
            ErrorCode::UnmetAuthenticationRequirements,
            "none of the acr values that were asked for can be reached here",
        ));
    }
    Ok(reached)
}

const fn invalid(description: &'static str) -> OAuthError {
    OAuthError::new(ErrorCode::InvalidRequest, description)
}

fn invalid_owned(description: &str) -> OAuthError {
    OAuthError::described(ErrorCode::InvalidRequest, description)
}

#[cfg(test)]
mod tests;
