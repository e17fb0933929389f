//! Whether a client belongs to the sector it names ([OpenID Connect Registration §5]).
//!
//! [OpenID Connect Registration §5]: https://openid.net/specs/openid-connect-registration-1_0.html#SectorIdentifierValidation

use crate::http::app::App;
use crate::http::error::ApiError;
use crate::protocol::{ClientMetadata, ErrorCode, OAuthError};

/// Fetches the sector document, by the client that refuses private addresses: a registration may name any URL.
pub(super) async fn check(app: &App, metadata: &ClientMetadata) -> Result<(), ApiError> {
    let Some(uri) = &metadata.sector_identifier_uri else { return Ok(()) };
    let document = app.fetcher.get_json(uri).await.map_err(|cause| {
        tracing::warn!(reason = cause.reason(), "a sector_identifier_uri could not be fetched");
        let text = "sector_identifier_uri: there is no JSON document to be had";
        OAuthError::new(ErrorCode::InvalidClientMetadata, text)
    })?;
    Ok(metadata.check_sector(&document)?)
}
