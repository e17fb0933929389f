//! Reading one member at a time: the right type, or a sentence that names it.

use serde_json::{Map, Value};
use url::Url;

use super::{ClientAlg, Offer, wrong};
use crate::protocol::algorithms::ContentEncryption;
use crate::protocol::{AuthMethod, GrantType, OAuthError, ResponseType, Scope, redirect_uri};

/// Reads members of the right type, or says which one is not.
pub(super) struct Reader<'a>(pub(super) &'a Map<String, Value>);

impl<'a> Reader<'a> {
    /// A member that is there; `null` is as good as absent.
    fn member(&self, name: &str) -> Option<&'a Value> {
        self.0.get(name).filter(|value| !value.is_null())
    }

    pub(super) fn text(&self, name: &str, most: usize) -> Result<Option<String>, OAuthError> {
        let Some(value) = self.member(name) else { return Ok(None) };
        let text = value.as_str().filter(|text| text.len() <= most);
        let text =
            text.ok_or_else(|| wrong(&format!("{name} must be a string of at most {most} bytes")))?;
        Ok(Some(text.to_owned()).filter(|text| !text.is_empty()))
    }

    pub(super) fn strings(&self, name: &str, most: usize) -> Result<Vec<String>, OAuthError> {
        let Some(value) = self.member(name) else { return Ok(Vec::new()) };
        let complaint = || wrong(&format!("{name} must be an array of at most {most} strings"));
        let items = value.as_array().filter(|items| items.len() <= most).ok_or_else(complaint)?;
        let text =
            |item: &Value| item.as_str().filter(|text| text.len() <= 2048).map(str::to_owned);
        items.iter().map(text).collect::<Option<_>>().ok_or_else(complaint)
    }

    pub(super) fn boolean(&self, name: &str) -> Result<bool, OAuthError> {
        let Some(value) = self.member(name) else { return Ok(false) };
        value.as_bool().ok_or_else(|| wrong(&format!("{name} must be true or false")))
    }

    pub(super) fn seconds(&self, name: &str) -> Result<Option<u32>, OAuthError> {
        let Some(value) = self.member(name) else { return Ok(None) };
        let seconds = value.as_u64().and_then(|seconds| u32::try_from(seconds).ok());
        seconds.map(Some).ok_or_else(|| wrong(&format!("{name} must be a number of seconds")))
    }

    pub(super) fn word<T>(
        &self,
        name: &str,
        parse: fn(&str) -> Option<T>,
    ) -> Result<Option<T>, OAuthError> {
        let Some(word) = self.text(name, 64)? else { return Ok(None) };
        parse(&word).map(Some).ok_or_else(|| wrong(&format!("{name}: no such value here")))
    }

    /// How the client authenticates, and all the ways if there are several. What strangers register is one, and
    /// "If unspecified or omitted, the default is client_secret_basic" (RFC 7591 §2); an operator who names none
    /// means whichever of the two the client's library has.
    pub(super) fn auth_methods(
        &self,
        offer: &Offer,
    ) -> Result<(AuthMethod, Vec<AuthMethod>), OAuthError> {
        use AuthMethod::{ClientSecretBasic, ClientSecretPost};
        let (name, names) = ("token_endpoint_auth_method", "token_endpoint_auth_methods");
        let one = self.word(name, AuthMethod::parse)?;
        let words = if offer.by_operator { self.strings(names, 5)? } else { Vec::new() };
        let mut several = Vec::new();
        for word in words {
            let method = AuthMethod::parse(&word).ok_or_else(|| {
                wrong(&format!("{names}: each must be a way of client authentication"))
            })?;
            if !several.contains(&method) {
                several.push(method);
            }
        }
        let mut named = one.iter().chain(&several);
        if let Some(method) = named.find(|named| !offer.auth_methods().any(|it| it == **named)) {
            return Err(wrong(&format!("{name}: {} is not offered here", method.as_str())));
        }
        if several.len() > 1 && several.contains(&AuthMethod::None) {
            return Err(wrong(&format!("{names}: none is for a client that has no other")));
        }
        Ok(match (one, several.as_slice()) {
            (None, []) if offer.by_operator => {
                (ClientSecretBasic, vec![ClientSecretBasic, ClientSecretPost])
            }
            (one, []) => (one.unwrap_or(ClientSecretBasic), Vec::new()),
            (None, [first, ..]) => (*first, several),
            (Some(one), several) if !several.contains(&one) => {
                return Err(wrong(&format!("{name}: is not among {names}")));
            }
            (Some(one), _) => (one, several),
        })
    }

    /// How the content is encrypted: "if `…_alg` is specified, the default … is A128CBC-HS256"
    /// (OpenID Connect Registration §2).
    pub(super) fn content(&self, name: &str) -> Result<Option<ContentEncryption>, OAuthError> {
        let said = self.word(&format!("{name}_enc"), ContentEncryption::parse)?;
        let encrypted = self.member(&format!("{name}_alg")).is_some();
        Ok(said.or(encrypted.then_some(ContentEncryption::A128CbcHs256)))
    }

    /// An algorithm of our own signatures: one we have a key for.
    pub(super) fn our_alg(
        &self,
        name: &str,
        offer: &Offer,
    ) -> Result<Option<ClientAlg>, OAuthError> {
        let Some(alg) = self.word(name, ClientAlg::parse)? else { return Ok(None) };
        if offer.signing_algs.contains(&alg) {
            return Ok(Some(alg));
        }
        Err(wrong(&format!("{name}: {} is not offered here", alg.as_str())))
    }

    /// Grant types; ones nobody here knows are dropped, since a client may be written for several
    /// providers ("the authorization server MAY … replace", RFC 7591 §2).
    pub(super) fn grant_types(&self, offer: &Offer) -> Result<Vec<GrantType>, OAuthError> {
        let asked = self.response_types(offer)?;
        let implicit = asked.iter().any(|asked| asked.is_front_channel());
        if self.member("grant_types").is_none() {
            // "If omitted, the default is … authorization_code", and what the response types need.
            let code = !implicit || asked.iter().any(|asked| asked.has_code());
            let wanted = [(GrantType::AuthorizationCode, code), (GrantType::Implicit, implicit)];
            return Ok(wanted
                .iter()
                .filter(|(_, wanted)| *wanted)
                .map(|(grant, _)| *grant)
                .collect());
        }
        let words = self.strings("grant_types", 20)?;
        let offered = |grant: &GrantType| *grant != GrantType::Implicit || implicit;
        let known: Vec<_> = GrantType::ALL
            .iter()
            .copied()
            .filter(|grant| offered(grant) && words.iter().any(|word| word == grant.as_str()))
            .collect();
        if known.is_empty() {
            Err(wrong("grant_types: none of them is supported"))
        } else {
            Ok(known)
        }
    }

    /// Response types, their words in any order; ones that are not offered are dropped.
    pub(super) fn response_types(&self, offer: &Offer) -> Result<Vec<ResponseType>, OAuthError> {
        if self.member("response_types").is_none() {
            let grants = self.strings("grant_types", 20)?;
            let code = GrantType::AuthorizationCode.as_str();
            let wants_code =
                self.member("grant_types").is_none() || grants.iter().any(|grant| grant == code);
            return Ok(if wants_code { vec![ResponseType::Code] } else { Vec::new() });
        }
        let words = self.strings("response_types", 20)?;
        let asked: Vec<_> = words.iter().filter_map(|word| ResponseType::read(word)).collect();
        let known: Vec<_> =
            offer.response_types.iter().copied().filter(|it| asked.contains(it)).collect();
        if known.is_empty() && !words.is_empty() {
            return Err(wrong("response_types: none of them is supported"));
        }
        Ok(known)
    }

    /// A name shown to people: at most 64 characters, none of which is a control or changes the
    /// direction of writing.
    pub(super) fn name(&self, name: &str) -> Result<Option<String>, OAuthError> {
        // 64 characters of any script, and as much again of what is not shown.
        let Some(text) = self.text(name, 512)? else { return Ok(None) };
        let shown: String = text.chars().filter(|c| !c.is_control() && !is_invisible(*c)).collect();
        let shown = shown.split_whitespace().collect::<Vec<_>>().join(" ");
        if shown.chars().count() > 64 {
            return Err(wrong(&format!("{name} must be at most 64 characters")));
        }
        Ok(Some(shown).filter(|shown| !shown.is_empty()))
    }

    /// Several of them.
    pub(super) fn links(&self, name: &str, most: usize) -> Result<Vec<String>, OAuthError> {
        let links = self.strings(name, most)?;
        if links.iter().all(|link| is_link(link, name)) {
            return Ok(links);
        }
        Err(wrong(&format!("{name}: each must be an https URL")))
    }

    /// An `https` URL; `http` only where it stays on this machine.
    pub(super) fn link(&self, name: &str) -> Result<Option<String>, OAuthError> {
        let Some(text) = self.text(name, 2048)? else { return Ok(None) };
        if is_link(&text, name) {
            Ok(Some(text))
        } else {
            Err(wrong(&format!("{name} must be an https URL")))
        }
    }

    pub(super) fn scope(&self, name: &str) -> Result<Option<Scope>, OAuthError> {
        let Some(text) = self.text(name, 1024)? else { return Ok(None) };
        let scope: Scope =
            text.parse().map_err(|_| wrong("scope must be words of printable ASCII"))?;
        // Blanks alone are as good as absent, as an empty text is.
        Ok(Some(scope).filter(|scope| !scope.is_empty()))
    }

    /// A JWK Set without a private or a symmetric key ([RFC 7517 §9.2]).
    ///
    /// [RFC 7517 §9.2]: https://www.rfc-editor.org/rfc/rfc7517#section-9.2
    pub(super) fn public_keys(&self, name: &str) -> Result<Option<Value>, OAuthError> {
        let Some(set) = self.member(name) else { return Ok(None) };
        let keys = set.get("keys").and_then(Value::as_array);
        let public = |key: &Value| {
            let kind = key.get("kty").and_then(Value::as_str);
            matches!(kind, Some("RSA" | "EC" | "OKP"))
                && ["d", "p", "q", "dp", "dq", "qi", "oth", "k"]
                    .iter()
                    .all(|part| key.get(part).is_none())
        };
        match keys {
            Some(keys) if (1..=20).contains(&keys.len()) && keys.iter().all(public) => {
                Ok(Some(set.clone()))
            }
            _ => Err(wrong(&format!("{name} must be a JWK Set of 1 to 20 public keys"))),
        }
    }
}

/// Bidirectional controls, zero-width characters and their like.
fn is_invisible(c: char) -> bool {
    matches!(c, '\u{200B}'..='\u{200F}' | '\u{202A}'..='\u{202E}' | '\u{2060}'..='\u{206F}' | '\u{FEFF}' | '\u{061C}' | '\u{E0000}'..='\u{E007F}')
}

fn is_link(text: &str, name: &str) -> bool {
    // Loopback is for what a browser on the developer's machine opens; what we fetch is https.
    let fetched = ["initiate_login_uri", "jwks_uri", "sector_identifier_uri", "request_uris"];
    text.bytes().all(|c| c.is_ascii_graphic())
        && Url::parse(text).is_ok_and(|url| {
            let own_machine = url.scheme() == "http"
                && redirect_uri::is_loopback(&url)
                && !fetched.contains(&name);
            (url.scheme() == "https" || own_machine)
                && url.has_host()
                && url.username().is_empty()
                && url.password().is_none()
        })
}
