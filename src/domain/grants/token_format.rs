use uuid::Uuid;

use super::GrantId;
use crate::domain::clients::ClientId;
use crate::infra::secret::Secret;
use crate::infra::secret_key::MacKey;

/// What an opaque token is. Part of its text, so that an access token never passes for a code.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum TokenKind {
    /// An authorization code.
    Code,
    /// An opaque access token.
    Access,
}

/// A code or opaque access token as the client gets it: `<kind>.<grant id>.<secret>`.
#[derive(Clone, Debug)]
pub struct OpaqueToken {
    /// The grant it belongs to.
    pub grant: GrantId,
    /// Its digest is in the grant.
    pub secret: Secret,
}

impl OpaqueToken {
    /// The text that the client gets.
    pub fn render(&self, r#use: TokenKind) -> String {
        format!("{}.{}.{}", r#use.prefix(), self.grant.0.simple(), self.secret.reveal())
    }

    /// Parses exactly what [`render`](Self::render) writes.
    pub fn parse(r#use: TokenKind, text: &str) -> Option<Self> {
        let (grant, secret) =
            text.strip_prefix(r#use.prefix())?.strip_prefix('.')?.split_once('.')?;
        Some(Self { grant: parse_grant(grant)?, secret: Secret::parse(secret)? })
    }
}

impl TokenKind {
    const fn prefix(self) -> &'static str {
        match self {
            Self::Code => "ac1",
            Self::Access => "at1",
        }
    }
}

/// A refresh token whose MAC was verified: `rt1.<grant id>.<generation>.<MAC>`.
///
/// The MAC covers the client id, so that a token verifies for its own client alone.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct RefreshToken {
    /// The grant it belongs to.
    pub grant: GrantId,
    /// Its number in the family.
    pub generation: u64,
}

impl RefreshToken {
    /// The text that the client gets; the same every time.
    pub fn render(self, client: &ClientId, key: &MacKey) -> String {
        let mac = key.mac(&self.mac_input(client));
        format!("{}.{}", self.unsigned_text(), crate::infra::secret::base64url(&mac))
    }

    /// Parses a token and verifies its MAC for this client.
    pub fn parse(text: &str, client: &ClientId, key: &MacKey) -> Option<Self> {
        let token = Self::parse_unverified(text)?;
        let (_, mac) = text.rsplit_once('.')?;
        let shown = crate::infra::secret::from_base64url(mac)?;
        let authentic = key.verifies(&token.mac_input(client), &shown);
        // One spelling only: "007" is not 7.
        (authentic && text.strip_suffix(mac)?.strip_suffix('.')? == token.unsigned_text())
            .then_some(token)
    }

    /// Parses a token without verifying it.
    pub fn parse_unverified(text: &str) -> Option<Self> {
        let mut pieces = text.strip_prefix("rt1.")?.split('.');
        let grant = parse_grant(pieces.next()?)?;
        let generation = pieces.next()?.parse().ok()?;
        (pieces.next().is_some() && pieces.next().is_none()).then_some(Self { grant, generation })
    }

    fn unsigned_text(self) -> String {
        format!("rt1.{}.{}", self.grant.0.simple(), self.generation)
    }

    fn mac_input(self, client: &ClientId) -> [Vec<u8>; 2] {
        [self.unsigned_text().into_bytes(), client.as_str().as_bytes().to_vec()]
    }
}

/// 32 hex digits in lower case, nothing else a UUID parser would take.
fn parse_grant(text: &str) -> Option<GrantId> {
    let id = Uuid::try_parse(text).ok()?;
    (id.simple().to_string() == text).then_some(GrantId(id))
}
