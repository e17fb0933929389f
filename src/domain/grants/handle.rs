use uuid::Uuid;

use super::GrantId;
use crate::domain::clients::ClientId;
use crate::infra::secret::Secret;
use crate::infra::secret_key::MacKey;

/// What a credential is for. Part of the text, so a refresh token never passes for a code.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Use {
    /// An authorization code.
    Code,
    /// An opaque access token.
    Access,
}

/// A credential as a client holds it: `<use>.<grant id>.<secret>`.
#[derive(Clone, Debug)]
pub struct Handle {
    /// Whose.
    pub grant: GrantId,
    /// What proves it.
    pub secret: Secret,
}

impl Handle {
    /// The text a client gets.
    pub fn render(&self, r#use: Use) -> String {
        format!("{}.{}.{}", r#use.prefix(), self.grant.0.simple(), self.secret.reveal())
    }

    /// Reads exactly what [`render`](Self::render) writes.
    pub fn parse(r#use: Use, text: &str) -> Option<Self> {
        let (grant, secret) =
            text.strip_prefix(r#use.prefix())?.strip_prefix('.')?.split_once('.')?;
        Some(Self { grant: parse_grant(grant)?, secret: Secret::parse(secret)? })
    }
}

impl Use {
    const fn prefix(self) -> &'static str {
        match self {
            Self::Code => "ac1",
            Self::Access => "at1",
        }
    }
}

/// A refresh token that is authentic: its MAC was ours. `rt1.<grant id>.<generation>.<MAC>`.
///
/// The MAC covers the client, so that a token only ever verifies for the client it was made for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct RefreshToken {
    /// Whose.
    pub grant: GrantId,
    /// Which of the family.
    pub generation: u64,
}

impl RefreshToken {
    /// The text a client gets; the same every time.
    pub fn render(self, client: &ClientId, key: &MacKey) -> String {
        let mac = key.mac(&self.parts(client));
        format!("{}.{}", self.head(), crate::infra::secret::base64url(&mac))
    }

    /// Reads a token and checks its MAC for this client.
    pub fn parse(text: &str, client: &ClientId, key: &MacKey) -> Option<Self> {
        let token = Self::peek(text)?;
        let (_, mac) = text.rsplit_once('.')?;
        let shown = crate::infra::secret::from_base64url(mac)?;
        let authentic = key.verifies(&token.parts(client), &shown);
        // One spelling only: "007" is not 7.
        (authentic && text.strip_suffix(mac)?.strip_suffix('.')? == token.head()).then_some(token)
    }

    /// Reads a token without believing it: only good for finding whose it would be.
    pub fn peek(text: &str) -> Option<Self> {
        let mut pieces = text.strip_prefix("rt1.")?.split('.');
        let grant = parse_grant(pieces.next()?)?;
        let generation = pieces.next()?.parse().ok()?;
        (pieces.next().is_some() && pieces.next().is_none()).then_some(Self { grant, generation })
    }

    fn head(self) -> String {
        format!("rt1.{}.{}", self.grant.0.simple(), self.generation)
    }

    fn parts(self, client: &ClientId) -> [Vec<u8>; 2] {
        [self.head().into_bytes(), client.as_str().as_bytes().to_vec()]
    }
}

/// 32 hex digits in lower case, nothing else a UUID parser would take.
fn parse_grant(text: &str) -> Option<GrantId> {
    let id = Uuid::try_parse(text).ok()?;
    (id.simple().to_string() == text).then_some(GrantId(id))
}
