//! Parses one member at a time, or fails with a sentence that names it.
//!
//! For an operator every error is reported. For a client that registers itself, a member that cannot be read is dropped
//! or replaced ("The authorization server MAY reject or replace any of the client's requested metadata values",
//! [RFC 7591 §2]), and the response shows what is registered. That holds for descriptive and optional members only. One
//! that restricts the client is never dropped, because the client would get more than it asked for: authentication,
//! subject type, encryption, logout notifications.
//!
//! [RFC 7591 §2]: https://www.rfc-editor.org/rfc/rfc7591#section-2

use std::cell::RefCell;

use serde_json::{Map, Value, json};
use url::Url;

use super::{ClientAlg, ServerCapabilities, invalid_metadata};
use crate::protocol::algorithms::{ContentEncryption, KeyManagement};
use crate::protocol::{AuthMethod, GrantType, OAuthError, ResponseType, Scope, redirect_uri};

/// The members of a registration, and a report of those that were dropped.
pub(super) struct MetadataParser<'a> {
    members: &'a Map<String, Value>,
    /// Whether a member that restricts nothing is dropped if it cannot be read.
    tolerant: bool,
    /// Which members were dropped or replaced, and why.
    dropped: RefCell<Vec<OAuthError>>,
}

impl<'a> MetadataParser<'a> {
    /// Tolerant unless the operator declares the client.
    pub(super) fn new(members: &'a Map<String, Value>, offer: &ServerCapabilities) -> Self {
        Self { members, tolerant: !offer.by_operator, dropped: RefCell::default() }
    }

    /// `null` counts as absent.
    fn member(&self, name: &str) -> Option<&'a Value> {
        self.members.get(name).filter(|value| !value.is_null())
    }

    /// For a member that restricts nothing: its default if it cannot be read and the parser is tolerant.
    pub(super) fn or_default<T: Default>(
        &self,
        read: Result<T, OAuthError>,
    ) -> Result<T, OAuthError> {
        match read {
            Err(why) if self.tolerant => {
                self.dropped.borrow_mut().push(why);
                Ok(T::default())
            }
            read => read,
        }
    }

    /// Replaces an error about a member that was dropped by the reason why it was dropped.
    pub(super) fn explain(&self, error: OAuthError) -> OAuthError {
        let dropped = self.dropped.borrow();
        let is_about = |why: &&OAuthError| {
            let name = why.description.split([':', ' ']).next().unwrap_or_default();
            error.description.contains(name)
        };
        dropped.iter().find(is_about).cloned().unwrap_or(error)
    }

    /// A sentence for each member that was dropped or replaced.
    pub(super) fn into_dropped(self) -> Vec<OAuthError> {
        self.dropped.into_inner()
    }

    pub(super) fn text(&self, name: &str, most: usize) -> Result<Option<String>, OAuthError> {
        let Some(value) = self.member(name) else { return Ok(None) };
        let text = value.as_str().filter(|text| text.len() <= most);
        let text = text.ok_or_else(|| {
            invalid_metadata(&format!("{name} must be a string of at most {most} bytes"))
        })?;
        Ok(Some(text.to_owned()).filter(|text| !text.is_empty()))
    }

    pub(super) fn strings(&self, name: &str, most: usize) -> Result<Vec<String>, OAuthError> {
        self.checked(name, most, |_| Ok(()))
    }

    /// An array of strings, each checked by itself; those beyond the limit are not checked. However many are dropped,
    /// one error is reported.
    pub(super) fn checked(
        &self,
        name: &str,
        most: usize,
        check: impl Fn(&str) -> Result<(), OAuthError>,
    ) -> Result<Vec<String>, OAuthError> {
        let Some(value) = self.member(name) else { return Ok(Vec::new()) };
        let complaint =
            || invalid_metadata(&format!("{name} must be an array of at most {most} strings"));
        let Some(items) = value.as_array() else { return self.or_default(Err(complaint())) };
        let (mut kept, mut bad) = (Vec::new(), None);
        for item in items {
            let text = item.as_str().filter(|text| kept.len() < most && text.len() <= 2048);
            let text = text.ok_or_else(complaint);
            match text.and_then(|text| check(text).map(|()| text.to_owned())) {
                Ok(text) => kept.push(text),
                Err(why) => bad = bad.or(Some(why)),
            }
            if kept.len() == most && bad.is_some() {
                break;
            }
        }
        self.or_default(bad.map_or(Ok(()), Err))?;
        Ok(kept)
    }

    pub(super) fn boolean(&self, name: &str) -> Result<bool, OAuthError> {
        let Some(value) = self.member(name) else { return Ok(false) };
        let read = value
            .as_bool()
            .ok_or_else(|| invalid_metadata(&format!("{name} must be true or false")));
        self.or_default(read)
    }

    /// Also accepts a string, or a fraction of zero, which some libraries make of a number.
    pub(super) fn seconds(&self, name: &str) -> Result<Option<u32>, OAuthError> {
        let Some(value) = self.member(name) else { return Ok(None) };
        let digits = match value {
            Value::Number(number) => number.to_string(),
            Value::String(text) => text.clone(),
            Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => String::new(),
        };
        let seconds = digits.strip_suffix(".0").unwrap_or(&digits).parse().ok();
        seconds
            .map(Some)
            .ok_or_else(|| invalid_metadata(&format!("{name} must be a number of seconds")))
    }

    pub(super) fn word<T>(
        &self,
        name: &str,
        parse: fn(&str) -> Option<T>,
    ) -> Result<Option<T>, OAuthError> {
        let Some(word) = self.text(name, 64)? else { return Ok(None) };
        parse(&word)
            .map(Some)
            .ok_or_else(|| invalid_metadata(&format!("{name}: no such value here")))
    }

    /// The authentication method, and all methods if there are several. A client registers one: "If unspecified or
    /// omitted, the default is client_secret_basic" (RFC 7591 §2). If an operator names none, both secret methods are
    /// allowed, whichever the client's library uses.
    pub(super) fn auth_methods(
        &self,
        offer: &ServerCapabilities,
    ) -> Result<(AuthMethod, Vec<AuthMethod>), OAuthError> {
        use AuthMethod::{ClientSecretBasic, ClientSecretPost};
        let (name, names) = ("token_endpoint_auth_method", "token_endpoint_auth_methods");
        let one = self.word(name, AuthMethod::parse)?;
        let words = if offer.by_operator { self.strings(names, 5)? } else { Vec::new() };
        let mut several = Vec::new();
        for word in words {
            let method = AuthMethod::parse(&word).ok_or_else(|| {
                invalid_metadata(&format!("{names}: each must be a way of client authentication"))
            })?;
            if !several.contains(&method) {
                several.push(method);
            }
        }
        let mut named = one.iter().chain(&several);
        if let Some(method) = named.find(|named| !offer.auth_methods().any(|it| it == **named)) {
            return Err(invalid_metadata(&format!(
                "{name}: {} is not offered here",
                method.as_str()
            )));
        }
        if several.len() > 1 && several.contains(&AuthMethod::None) {
            return Err(invalid_metadata(&format!(
                "{names}: none is for a client that has no other"
            )));
        }
        Ok(match (one, several.as_slice()) {
            (None, []) if offer.by_operator => {
                (ClientSecretBasic, vec![ClientSecretBasic, ClientSecretPost])
            }
            (one, []) => (one.unwrap_or(ClientSecretBasic), Vec::new()),
            (None, [first, ..]) => (*first, several),
            (Some(one), several) if !several.contains(&one) => {
                return Err(invalid_metadata(&format!("{name}: is not among {names}")));
            }
            (Some(one), _) => (one, several),
        })
    }

    /// The content encryption: "if `…_alg` is specified, the default … is A128CBC-HS256"
    /// (OpenID Connect Registration §2).
    pub(super) fn content_encryption(
        &self,
        name: &str,
        alg: Option<KeyManagement>,
    ) -> Result<Option<ContentEncryption>, OAuthError> {
        let said = self.word(&format!("{name}_enc"), ContentEncryption::parse);
        let said = said.and_then(|said| match (said, alg) {
            (Some(_), None) => Err(invalid_metadata(&format!("{name}_enc needs {name}_alg"))),
            (said, _) => Ok(said),
        });
        Ok(self.or_default(said)?.or(alg.map(|_| ContentEncryption::A128CbcHs256)))
    }

    /// An algorithm for our signatures. One that there is no key for is replaced by RS256, because the client wants a
    /// signature.
    pub(super) fn own_signature_alg(
        &self,
        name: &str,
        offer: &ServerCapabilities,
    ) -> Result<Option<ClientAlg>, OAuthError> {
        let word = match self.text(name, 64) {
            Ok(Some(word)) => word,
            Ok(None) => return Ok(None),
            // The client wants a signature: this was not `none`.
            Err(why) => return self.or_default::<()>(Err(why)).map(|()| Some(ClientAlg::Rs256)),
        };
        let alg = ClientAlg::parse(&word);
        if alg.is_some_and(|alg| offer.signing_algs.contains(&alg)) {
            return Ok(alg);
        }
        let called = alg.map_or("such an algorithm", ClientAlg::as_str);
        let complaint = invalid_metadata(&format!("{name}: {called} is not offered here"));
        self.or_default::<()>(Err(complaint))?;
        Ok(Some(ClientAlg::Rs256).filter(|_| word != "none"))
    }

    /// Grant types. Unknown ones are dropped, because a client may be written for several
    /// providers ("the authorization server MAY … replace", RFC 7591 §2).
    pub(super) fn grant_types(
        &self,
        offer: &ServerCapabilities,
    ) -> Result<Vec<GrantType>, OAuthError> {
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
            Err(invalid_metadata("grant_types: none of them is supported"))
        } else {
            Ok(known)
        }
    }

    /// Response types, their values in any order; unsupported ones are dropped.
    pub(super) fn response_types(
        &self,
        offer: &ServerCapabilities,
    ) -> Result<Vec<ResponseType>, OAuthError> {
        if self.member("response_types").is_none() {
            let grants = self.strings("grant_types", 20)?;
            let code = GrantType::AuthorizationCode.as_str();
            let wants_code =
                self.member("grant_types").is_none() || grants.iter().any(|grant| grant == code);
            return Ok(if wants_code { vec![ResponseType::Code] } else { Vec::new() });
        }
        let words = self.strings("response_types", 20)?;
        let asked: Vec<_> =
            words.iter().filter_map(|word| ResponseType::parse_unordered(word)).collect();
        let known: Vec<_> =
            offer.response_types.iter().copied().filter(|it| asked.contains(it)).collect();
        if known.is_empty() && !words.is_empty() {
            return Err(invalid_metadata("response_types: none of them is supported"));
        }
        Ok(known)
    }

    /// A name for display: at most 64 characters, without control characters and without ones that are invisible or
    /// change the direction of writing. A longer one is cut.
    pub(super) fn name(&self, name: &str) -> Result<Option<String>, OAuthError> {
        let Some(text) = self.or_default(self.text(name, usize::MAX))? else { return Ok(None) };
        let shown: String = text.chars().filter(|c| !c.is_control() && !is_invisible(*c)).collect();
        let mut shown = shown.split_whitespace().collect::<Vec<_>>().join(" ");
        if let Some((end, _)) = shown.char_indices().nth(64) {
            let complaint = invalid_metadata(&format!("{name} must be at most 64 characters"));
            self.or_default::<()>(Err(complaint))?;
            shown.truncate(end);
            shown.truncate(shown.trim_end().len());
        }
        Ok(Some(shown).filter(|shown| !shown.is_empty()))
    }

    /// Several of `link`.
    pub(super) fn links(&self, name: &str, most: usize) -> Result<Vec<String>, OAuthError> {
        let complaint = || invalid_metadata(&format!("{name}: each must be an https URL"));
        self.checked(name, most, |link| {
            is_valid_link(link, name).then_some(()).ok_or_else(complaint)
        })
    }

    /// An `https` URL, or `http` with a loopback host.
    pub(super) fn link(&self, name: &str) -> Result<Option<String>, OAuthError> {
        let Some(text) = self.text(name, 2048)? else { return Ok(None) };
        if is_valid_link(&text, name) {
            Ok(Some(text))
        } else {
            Err(invalid_metadata(&format!("{name} must be an https URL")))
        }
    }

    /// Invalid tokens are dropped. If none is left, that is an error, because an absent scope would mean the standard
    /// ones.
    pub(super) fn scope(&self, name: &str) -> Result<Option<Scope>, OAuthError> {
        let Some(text) = self.text(name, 1024)? else { return Ok(None) };
        let complaint = || invalid_metadata("scope must be at most 50 words of printable ASCII");
        let is_word = |word: &&str| word.parse::<Scope>().is_ok();
        let (words, bad): (Vec<_>, Vec<_>) =
            text.split(' ').filter(|word| !word.is_empty()).partition(is_word);
        self.or_default(if bad.is_empty() { Ok(()) } else { Err(complaint()) })?;
        if words.is_empty() && !text.trim_matches(' ').is_empty() {
            return Err(complaint());
        }
        // Blanks alone are as good as absent, as an empty text is.
        let scope: Scope = words.join(" ").parse().map_err(|_| complaint())?;
        Ok(Some(scope).filter(|scope| !scope.is_empty()))
    }

    /// A JWK Set without a private or a symmetric key ([RFC 7517 §9.2]). Keys of an unknown type are
    /// ignored (§5) and not stored, because nobody could tell whether they are public.
    ///
    /// [RFC 7517 §9.2]: https://www.rfc-editor.org/rfc/rfc7517#section-9.2
    pub(super) fn public_keys(&self, name: &str) -> Result<Option<Value>, OAuthError> {
        let Some(set) = self.member(name) else { return Ok(None) };
        let keys = set.get("keys").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
        let kind = |key: &Value| key.get("kty").and_then(Value::as_str).map(str::to_owned);
        let is_secret = |key: &Value| {
            kind(key).as_deref() == Some("oct")
                || PRIVATE_KEY_MEMBERS.iter().any(|part| key.get(part).is_some())
        };
        if keys.iter().any(is_secret) {
            let text =
                "holds a private or a symmetric key: that is no secret any more, make another";
            return Err(invalid_metadata(&format!("{name} {text}")));
        }
        let is_known = |key: &&Value| matches!(kind(key).as_deref(), Some("RSA" | "EC" | "OKP"));
        let known: Vec<Value> = keys.iter().filter(is_known).take(20).cloned().collect();
        if known.is_empty() {
            let text = format!("{name} must be a JWK Set with a public key of type RSA, EC or OKP");
            return self.or_default(Err(invalid_metadata(&text)));
        }
        if known.len() < keys.len() {
            let text = format!("unknown keys, or more than 20, are left out of {name}");
            self.dropped.borrow_mut().push(invalid_metadata(&text));
        }
        Ok(Some(json!({ "keys": known })))
    }
}

/// The members of private and symmetric keys ([RFC 7518 §6], and of the kinds that came after it).
///
/// [RFC 7518 §6]: https://www.rfc-editor.org/rfc/rfc7518#section-6
const PRIVATE_KEY_MEMBERS: [&str; 9] = ["d", "p", "q", "dp", "dq", "qi", "oth", "k", "priv"];

/// Bidirectional controls, zero-width characters and their like.
fn is_invisible(c: char) -> bool {
    matches!(c, '\u{200B}'..='\u{200F}' | '\u{202A}'..='\u{202E}' | '\u{2060}'..='\u{206F}' | '\u{FEFF}' | '\u{061C}' | '\u{E0000}'..='\u{E007F}')
}

fn is_valid_link(text: &str, name: &str) -> bool {
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
