//! Standard claims ([OpenID Connect Core §5.1]): which scope asks for each, and what type it has; and
//! the `claims` request parameter (§5.5).
//!
//! [OpenID Connect Core §5.1]: https://openid.net/specs/openid-connect-core-1_0.html#StandardClaims

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::Scope;

/// The type of a claim's value (§5.1).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum ClaimKind {
    Address,
    Birthdate,
    Boolean,
    HttpUrl,
    Number,
    Text,
}

/// Claim, the scope that asks for it (§5.4), and its kind.
#[rustfmt::skip]
const STANDARD_CLAIMS: [(&str, &str, ClaimKind); 19] = [
    ("name",                  "profile", ClaimKind::Text),
    ("given_name",            "profile", ClaimKind::Text),
    ("family_name",           "profile", ClaimKind::Text),
    ("middle_name",           "profile", ClaimKind::Text),
    ("nickname",              "profile", ClaimKind::Text),
    ("preferred_username",    "profile", ClaimKind::Text),
    ("profile",               "profile", ClaimKind::HttpUrl),
    ("picture",               "profile", ClaimKind::HttpUrl),
    ("website",               "profile", ClaimKind::HttpUrl),
    ("gender",                "profile", ClaimKind::Text),
    ("birthdate",             "profile", ClaimKind::Birthdate),
    ("zoneinfo",              "profile", ClaimKind::Text),
    ("locale",                "profile", ClaimKind::Text),
    ("updated_at",            "profile", ClaimKind::Number),
    ("email",                 "email",   ClaimKind::Text),
    ("email_verified",        "email",   ClaimKind::Boolean),
    ("address",               "address", ClaimKind::Address),
    ("phone_number",          "phone",   ClaimKind::Text),
    ("phone_number_verified", "phone",   ClaimKind::Boolean),
];

/// The scope for the groups of a user, and the claim it exposes.
const GROUPS: &str = "groups";

/// Claims only the server may set; a user record cannot carry them.
const RESERVED_CLAIMS: [&str; 23] = [
    "iss",
    "sub",
    "aud",
    "exp",
    "iat",
    "nbf",
    "jti",
    "auth_time",
    "nonce",
    "acr",
    "amr",
    "azp",
    "at_hash",
    "c_hash",
    "s_hash",
    "sid",
    "typ",
    "scope",
    "client_id",
    "cnf",
    "events",
    "active",
    "token_use",
];

/// The known scopes and the claims that each exposes: the standard ones and those the operator configured. The names
/// stand beside it in the order of the consent page: the standard ones, then as declared.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ScopeCatalogue(BTreeMap<String, ScopeEntry>, Vec<String>);

/// One scope a client may ask for.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct ScopeEntry {
    /// The text on the consent page, which has its own for the standard scopes.
    pub description: Option<String>,
    /// The claims it exposes.
    pub claims: BTreeSet<String>,
    /// Whether discovery lists it; if absent, it lists the standard scopes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub advertised: Option<bool>,
}

impl Default for ScopeCatalogue {
    fn default() -> Self {
        let claims = |scope: &str| {
            let asked = STANDARD_CLAIMS.iter().filter(|(_, by, _)| *by == scope);
            asked.map(|(claim, _, _)| (*claim).to_owned()).collect()
        };
        let entry = |scope: &str| ScopeEntry { claims: claims(scope), ..ScopeEntry::default() };
        let entries = Scope::STANDARD.iter().map(|scope| ((*scope).to_owned(), entry(scope)));
        let mut catalogue = Self(entries.collect(), Scope::STANDARD.map(str::to_owned).into());
        // No standard has this scope, but many applications ask for it: known from the start, and not advertised.
        let groups = ScopeEntry {
            claims: [GROUPS.to_owned()].into(),
            advertised: Some(false),
            ..ScopeEntry::default()
        };
        catalogue.add(GROUPS, groups);
        catalogue
    }
}

impl ScopeCatalogue {
    /// Adds a scope, or adds claims to a standard one.
    pub fn add(&mut self, scope: &str, entry: ScopeEntry) {
        if !self.0.contains_key(scope) {
            self.1.push(scope.to_owned());
        }
        let known = self.0.entry(scope.to_owned()).or_default();
        known.claims.extend(entry.claims);
        known.description = entry.description.or(known.description.take());
        known.advertised = entry.advertised.or(known.advertised);
    }

    pub fn get(&self, scope: &str) -> Option<&ScopeEntry> {
        self.0.get(scope)
    }

    /// Every scope token, sorted.
    pub fn scopes(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// The scopes that discovery lists. Some clients request all they find there, so an operator's own are left out
    /// unless the operator says otherwise; `openid` "MUST" be there ([OpenID Connect Discovery §3]).
    ///
    /// [OpenID Connect Discovery §3]: https://openid.net/specs/openid-connect-discovery-1_0.html#ProviderMetadata
    pub fn advertised(&self) -> Scope {
        let is_advertised = |scope: &str, entry: &ScopeEntry| {
            let default = Scope::STANDARD.contains(&scope);
            scope == "openid" || entry.advertised.unwrap_or(default)
        };
        let named = self.0.iter().filter(|(scope, entry)| is_advertised(scope, entry));
        named.map(|(scope, _)| scope.as_str()).collect()
    }

    /// The tokens of this scope in the order of the consent page.
    pub fn display_order<'a>(&'a self, scope: &'a Scope) -> impl Iterator<Item = &'a str> {
        let known = self.1.iter().map(String::as_str).filter(|token| scope.contains(token));
        known.chain(scope.iter().filter(|token| !self.0.contains_key(*token)))
    }

    /// Every claim that any scope exposes, sorted.
    pub fn claims(&self) -> BTreeSet<&str> {
        self.0.values().flat_map(|entry| &entry.claims).map(String::as_str).collect()
    }

    /// The claims a granted scope exposes.
    pub fn claims_for(&self, scope: &Scope) -> BTreeSet<&str> {
        let entries = scope.iter().filter_map(|token| self.0.get(token));
        entries.flat_map(|entry| &entry.claims).map(String::as_str).collect()
    }
}

/// Whether only the server may set the claim.
pub fn is_reserved(name: &str) -> bool {
    RESERVED_CLAIMS.contains(&name)
}

/// Whether the name is one of the standard claims.
pub fn is_standard(name: &str) -> bool {
    STANDARD_CLAIMS.iter().any(|(claim, _, _)| *claim == name)
}

/// Checks one claim of a user before it is stored; the error is a sentence for the operator.
pub fn check(name: &str, value: &Value) -> Result<(), String> {
    if is_reserved(name) {
        return Err(format!("{name} is set by the server and cannot be given to a user"));
    }
    let Some((_, _, kind)) = STANDARD_CLAIMS.iter().find(|(claim, _, _)| *claim == name) else {
        return Ok(());
    };
    let text = |value: &Value| value.as_str().is_some_and(|text| !text.is_empty());
    let (good, expected) = match kind {
        ClaimKind::Address => (
            value.as_object().is_some_and(|parts| !parts.is_empty() && parts.values().all(text)),
            "a table of strings, such as street_address, locality, postal_code and country",
        ),
        ClaimKind::Birthdate => {
            (value.as_str().is_some_and(is_birthdate), "YYYY-MM-DD, 0000-MM-DD or YYYY")
        }
        ClaimKind::Boolean => (value.is_boolean(), "true or false"),
        ClaimKind::HttpUrl => (value.as_str().is_some_and(is_http_url), "an http or https URL"),
        ClaimKind::Number => (value.is_u64(), "a number of seconds since 1970"),
        ClaimKind::Text => (text(value), "text"),
    };
    if good { Ok(()) } else { Err(format!("{name} must be {expected}")) }
}

fn is_birthdate(text: &str) -> bool {
    let digits =
        |part: &str, count| part.len() == count && part.bytes().all(|c| c.is_ascii_digit());
    match *text.split('-').collect::<Vec<_>>() {
        [year] => digits(year, 4),
        [year, month, day] => {
            let within =
                |part: &str, most: u8| part.parse().is_ok_and(|n: u8| (1..=most).contains(&n));
            digits(year, 4)
                && digits(month, 2)
                && digits(day, 2)
                && within(month, 12)
                && within(day, 31)
        }
        _ => false,
    }
}

fn is_http_url(text: &str) -> bool {
    url::Url::parse(text).is_ok_and(|url| matches!(url.scheme(), "http" | "https"))
}

/// The `claims` request parameter ([OpenID Connect Core §5.5]).
///
/// [OpenID Connect Core §5.5]: https://openid.net/specs/openid-connect-core-1_0.html#ClaimsParameter
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct ClaimsRequest {
    /// Requested from the userinfo endpoint.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub userinfo: BTreeMap<String, ClaimRequest>,
    /// Requested in the ID token.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub id_token: BTreeMap<String, ClaimRequest>,
}

/// The request for one claim (§5.5.1).
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct ClaimRequest {
    /// Whether the client cannot do without it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub essential: bool,
    /// The values it may have, in order of preference; empty means any.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub values: Vec<Value>,
}

/// The `claims` parameter is not the JSON that §5.5 describes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct ClaimsRequestError;

impl ClaimsRequest {
    /// Parses the parameter: an object whose members hold `null` or an object for each claim. Fails if it is not an
    /// object, or if one of `ENFORCED_CLAIMS` cannot be read; other claims that cannot be read are ignored.
    pub fn parse(text: &str) -> Result<Self, ClaimsRequestError> {
        let members: Map<String, Value> =
            serde_json::from_str(text).map_err(|_| ClaimsRequestError)?;
        let read = |name| members.get(name).map_or(Ok(BTreeMap::new()), parse_claims);
        Ok(Self { userinfo: read("userinfo")?, id_token: read("id_token")? })
    }

    /// Whether nothing is asked for.
    pub fn is_empty(&self) -> bool {
        self.userinfo.is_empty() && self.id_token.is_empty()
    }

    /// Every requested claim that the user has to consent to. Claims about the sign-in itself are part of `openid`.
    pub fn user_claims(&self) -> BTreeSet<&str> {
        let all = self.userinfo.keys().chain(self.id_token.keys()).map(String::as_str);
        all.filter(|name| !SIGN_IN_CLAIMS.contains(name)).collect()
    }

    /// Adds `auth_time` to the ID token, which `max_age` requests implicitly: "When a max_age
    /// request is made … then this Claim is REQUIRED" (§2, `auth_time`).
    #[must_use]
    pub fn with_auth_time(mut self) -> Self {
        self.id_token.entry("auth_time".to_owned()).or_default().essential = true;
        self
    }

    /// Drops the claims that are not among `allowed`, silently: a claim that is not returned is no error, not even
    /// an essential one (§5.5.1).
    #[must_use]
    pub fn restricted_to(mut self, allowed: &BTreeSet<&str>) -> Self {
        let may = |name: &str| SIGN_IN_CLAIMS.contains(&name) || allowed.contains(name);
        self.userinfo.retain(|name, _| may(name));
        self.id_token.retain(|name, _| may(name));
        self
    }
}

/// Claims about the sign-in, not about the user.
const SIGN_IN_CLAIMS: [&str; 4] = ["acr", "amr", "auth_time", "sub"];

/// Claims whose requested value the server must honour, so the request must be understood; others are optional.
const ENFORCED_CLAIMS: [&str; 2] = ["acr", "sub"];

/// Ignores a claim that cannot be read, but not the others.
fn parse_claims(value: &Value) -> Result<BTreeMap<String, ClaimRequest>, ClaimsRequestError> {
    let mut claims = BTreeMap::new();
    for (name, wish) in value.as_object().into_iter().flatten() {
        let demands = ENFORCED_CLAIMS.contains(&name.as_str());
        match parse_claim(wish, demands) {
            Some(wish) => drop(claims.insert(name.clone(), wish)),
            None if demands => return Err(ClaimsRequestError),
            None => {}
        }
    }
    Ok(claims)
}

/// `to_the_letter`: every member has to be what it should be; otherwise "any members used that are not
/// understood MUST be ignored" (§5.5.1).
fn parse_claim(wish: &Value, to_the_letter: bool) -> Option<ClaimRequest> {
    let wish = match wish {
        Value::Null => return Some(ClaimRequest::default()),
        Value::Object(wish) => wish,
        Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => return None,
    };
    let (essential, value, values) = (wish.get("essential"), wish.get("value"), wish.get("values"));
    let is_understood = essential.is_none_or(Value::is_boolean)
        && values.is_none_or(|values| values.is_array() && value.is_none());
    if to_the_letter && !is_understood {
        return None;
    }
    let values = match (value, values) {
        (Some(value), _) => vec![value.clone()],
        (None, Some(Value::Array(values))) => values.clone(),
        (None, Some(_) | None) => Vec::new(),
    };
    Some(ClaimRequest { essential: essential.and_then(Value::as_bool).unwrap_or(false), values })
}

impl ClaimRequest {
    /// Whether a claim with this value answers the wish.
    pub fn accepts(&self, value: &Value) -> bool {
        self.values.is_empty() || self.values.contains(value)
    }
}

#[cfg(test)]
mod tests;
