//! The sector a client belongs to: clients of one sector see the same pairwise `sub`
//! ([OpenID Connect Core §8.1]).
//!
//! [OpenID Connect Core §8.1]: https://openid.net/specs/openid-connect-core-1_0.html#PairwiseAlg

use std::collections::BTreeSet;

use serde_json::Value;
use url::Url;

use super::{ClientMetadata, SubjectType, invalid_metadata};
use crate::protocol::OAuthError;

impl ClientMetadata {
    /// The host of `sector_identifier_uri`, otherwise the one host of all redirect URIs.
    pub fn sector(&self) -> Option<String> {
        if let Some(uri) = &self.sector_identifier_uri {
            return host(uri);
        }
        let hosts: BTreeSet<_> = self.redirect_uris.iter().map(|uri| host(uri)).collect();
        match hosts.len() {
            1 => hosts.into_iter().next().flatten(),
            _ => None,
        }
    }

    /// Checks that the document at `sector_identifier_uri` lists every redirect URI: "the values of the registered
    /// redirect_uris MUST be included in the elements of the array" ([OpenID Connect Registration §5]).
    ///
    /// [OpenID Connect Registration §5]: https://openid.net/specs/openid-connect-registration-1_0.html#SectorIdentifierValidation
    pub fn check_sector(&self, document: &Value) -> Result<(), OAuthError> {
        let Some(all) = document.as_array() else {
            return Err(invalid_metadata(
                "sector_identifier_uri: there is no JSON array of strings",
            ));
        };
        let listed: BTreeSet<&str> = all.iter().filter_map(Value::as_str).collect();
        if self.redirect_uris.iter().all(|uri| listed.contains(&**uri)) {
            return Ok(());
        }
        Err(invalid_metadata(
            "sector_identifier_uri: not every one of the redirect_uris is listed there",
        ))
    }

    /// Whether users keep their `sub` when the client's metadata changes from `before` to this.
    pub fn has_same_subjects_as(&self, before: &Self) -> bool {
        self.subject_type == before.subject_type
            && match self.subject_type {
                SubjectType::Public => true,
                SubjectType::Pairwise => self.sector() == before.sector(),
            }
    }
}

/// "If there are multiple hostnames in the registered redirect_uris, the Client MUST register a
/// sector_identifier_uri" (§8.1); and one that has no host of its own must, too.
pub(super) fn check(it: &ClientMetadata) -> Result<(), OAuthError> {
    match it.subject_type {
        SubjectType::Public => Ok(()),
        SubjectType::Pairwise if it.sector().is_some() => Ok(()),
        SubjectType::Pairwise => Err(invalid_metadata(
            "subject_type: pairwise needs redirect_uris of one host, or a sector_identifier_uri",
        )),
    }
}

/// The host of an `https` URI, which proves who controls it. An application may put any host into a URI with a
/// private-use scheme (`com.example.app://shop.example/`), and every device is `localhost` to itself.
fn host(uri: &str) -> Option<String> {
    let url = Url::parse(uri).ok().filter(|url| url.scheme() == "https")?;
    url.host_str().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_pairwise_client_has_one_sector_or_is_refused() {
        for (uris, sector_uri, sector) in [
            (
                json!(["https://shop.example/a", "https://shop.example:8443/b"]),
                None,
                "shop.example",
            ),
            (
                json!(["https://a.example/", "https://b.example/"]),
                Some("https://c.example/s"),
                "c.example",
            ),
            (json!(["https://a.example/", "https://b.example/"]), None, ""),
            (json!(["https://a.example/", "com.example.app:/cb"]), None, ""),
            (json!(["com.example.app:/cb"]), None, ""),
            (json!(["com.evil.app://shop.example/cb"]), None, ""),
            (json!(["http://localhost:8080/cb"]), None, ""),
            (json!(["http://localhost:8080/cb"]), Some("https://c.example/s"), "c.example"),
            (json!(["com.example.app:/cb"]), Some("https://app.example/s"), "app.example"),
        ] {
            let mut members = json!({"redirect_uris": uris, "subject_type": "pairwise",
                "application_type": "native"});
            if let Some(uri) = sector_uri {
                members["sector_identifier_uri"] = uri.into();
            }
            let read = ClientMetadata::parse(members.as_object().unwrap());
            let found = read.map(|it| it.sector().unwrap_or_default()).unwrap_or_default();
            assert_eq!(found, sector, "{members}");
        }
    }

    #[test]
    fn a_sector_document_lists_every_redirect_uri_to_the_letter() {
        let members = json!({"redirect_uris": ["https://a.example/1", "https://a.example/2"]});
        let client = ClientMetadata::parse(members.as_object().unwrap()).unwrap();
        for (document, good) in [
            (json!(["https://a.example/2", "https://x.example/", "https://a.example/1"]), true),
            (json!(["https://a.example/1"]), false),
            (json!(["https://a.example/1", "https://A.example/2"]), false),
            (json!(["https://a.example/1", "https://a.example/2", 3]), true),
            (json!({"redirect_uris": ["https://a.example/1", "https://a.example/2"]}), false),
            (json!([]), false),
        ] {
            assert_eq!(client.check_sector(&document).is_ok(), good, "{document}");
        }
    }
}
