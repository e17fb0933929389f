//! The stylesheet and the icon, compiled in: the pages need nothing else, and nothing from elsewhere.
//!
//! The stylesheet's name carries its digest, so it can be cached for ever and a new release is seen at
//! once. The icon has a fixed name (browsers ask for it unasked), so it is cached for a day.

use std::sync::LazyLock;

use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, X_CONTENT_TYPE_OPTIONS};
use axum::response::IntoResponse;
use sha2::{Digest, Sha256};

/// Where the pages find the stylesheet: `/static/style.<first 8 hex digits of its SHA-256>.css`.
pub fn stylesheet_path() -> &'static str {
    static PATH: LazyLock<String> = LazyLock::new(|| {
        let digest = Sha256::digest(STYLESHEET);
        let hash = u32::from_be_bytes([digest[0], digest[1], digest[2], digest[3]]);
        format!("/static/style.{hash:08x}.css")
    });
    &PATH
}

/// `GET` of [`stylesheet_path`].
pub async fn stylesheet() -> impl IntoResponse {
    asset("text/css; charset=utf-8", "public, max-age=31536000, immutable", STYLESHEET)
}

/// `GET /favicon.svg` and `/favicon.ico`.
pub async fn icon() -> impl IntoResponse {
    asset("image/svg+xml", "public, max-age=86400", ICON)
}

fn asset(kind: &'static str, cache: &'static str, body: &'static [u8]) -> impl IntoResponse {
    let headers =
        [(CONTENT_TYPE, kind), (CACHE_CONTROL, cache), (X_CONTENT_TYPE_OPTIONS, "nosniff")];
    (headers, body)
}

const STYLESHEET: &[u8] = include_bytes!("../../static/style.css");
const ICON: &[u8] = include_bytes!("../../static/favicon.svg");

#[cfg(test)]
mod tests {
    use axum::Router;
    use axum::body::Body;
    use axum::http::{Request, StatusCode};
    use axum::routing::get;
    use http_body_util::BodyExt;
    use tower::ServiceExt;

    use super::*;

    async fn fetched(path: &str) -> (StatusCode, String, String, usize) {
        let request = Request::get(path).body(Body::empty()).unwrap();
        let routes = Router::new()
            .route(stylesheet_path(), get(stylesheet))
            .route("/favicon.svg", get(icon))
            .route("/favicon.ico", get(icon));
        let answer = routes.oneshot(request).await.unwrap();
        let header = |name| {
            let value = answer.headers().get(name);
            value.map_or(String::new(), |value| value.to_str().unwrap().to_owned())
        };
        let (status, kind, cache) = (answer.status(), header(CONTENT_TYPE), header(CACHE_CONTROL));
        let body = answer.into_body().collect().await.unwrap().to_bytes();
        (status, kind, cache, body.len())
    }

    #[tokio::test]
    async fn the_stylesheet_is_served_under_its_digest_and_may_be_kept_for_ever() {
        let (status, kind, cache, length) = fetched(stylesheet_path()).await;
        assert_eq!((status, &*kind), (StatusCode::OK, "text/css; charset=utf-8"));
        assert!(cache.contains("immutable"), "{cache}");
        assert_eq!(length, STYLESHEET.len());
        assert_eq!(fetched("/static/style.00000000.css").await.0, StatusCode::NOT_FOUND);
    }

    #[tokio::test]
    async fn the_icon_is_found_under_both_names_browsers_ask_for() {
        for path in ["/favicon.svg", "/favicon.ico"] {
            let (status, kind, cache, _) = fetched(path).await;
            assert_eq!((status, &*kind), (StatusCode::OK, "image/svg+xml"), "{path}");
            assert!(!cache.contains("immutable"), "{path} may change under its name");
        }
    }

    #[test]
    fn the_stylesheet_fetches_nothing() {
        let sheet = std::str::from_utf8(STYLESHEET).unwrap();
        assert!(!sheet.contains("url(") && !sheet.contains("@import"));
    }
}
