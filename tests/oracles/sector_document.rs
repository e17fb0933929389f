use latchkey::protocol::{ClientMetadata, OAuthError};
use serde_json::{Value, json};

use super::{lines, text};

/// What is behind a `sector_identifier_uri` is good exactly if it is an array, and every redirect URI is one
/// of its strings ([OpenID Connect Registration §5]).
///
/// Lines: a redirect URI, and the document.
///
/// [OpenID Connect Registration §5]: https://openid.net/specs/openid-connect-registration-1_0.html#SectorIdentifierValidation
pub fn sector_document(data: &[u8]) {
    holds(data, ClientMetadata::check_sector);
}

pub fn holds(data: &[u8], check: impl Fn(&ClientMetadata, &Value) -> Result<(), OAuthError>) {
    let [uri, document] = lines(data);
    let uris = ["https://shop.example/cb".to_owned(), text(uri)];
    let members = json!({
        "redirect_uris": uris,
        "subject_type": "pairwise",
        "sector_identifier_uri": "https://sector.example/uris",
    });
    let Ok(client) = ClientMetadata::parse(members.as_object().expect("an object")) else { return };
    let Ok(document) = serde_json::from_slice::<Value>(document) else { return };
    let mut good = document.is_array();
    // One that is none was not registered.
    for uri in &client.redirect_uris {
        let mut listed = document.as_array().into_iter().flatten();
        good &= listed.any(|item| item.as_str() == Some(uri));
    }
    assert_eq!(check(&client, &document).is_ok(), good, "{uris:?}: {document}");
    assert_eq!(client.sector().as_deref(), Some("sector.example"));
}
