//! HTML pages: every page leaves through [`page`], so none can lack a security header.
//!
//! The Content Security Policy allows our own stylesheet, our own and one named image origin, and nothing else: no
//! frames, no inline style, no script but one with this response's nonce.
//!
//! Why a page whose submit leads to an application names no `form-action`, and what
//! `Cross-Origin-Opener-Policy` costs: docs/decisions/page-policy.md.

use askama::Template;
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderName, HeaderValue, X_FRAME_OPTIONS,
};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{Html, IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use url::Url;

use crate::infra::random;

/// What one page may do beyond the strict default. Values that could end their directive, or that are
/// more than a plain source, are left out: then the browser blocks, and nothing is opened.
#[derive(Clone, Debug, Default)]
pub struct PagePolicy {
    /// Where a form may be sent, or redirected to.
    pub form_targets: FormTargets,
    /// CSP sources, beside `'self'`, that images may come from.
    pub images: Vec<String>,
    /// The [`nonce`] of the page's one script.
    pub script_nonce: Option<String>,
    /// CSP sources that the page's frames come from; it has none otherwise.
    pub frames: Vec<String>,
}

/// Where submitting a form may lead.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum FormTargets {
    /// To this server only.
    #[default]
    Here,
    /// To a client, and by its redirects anywhere.
    Anywhere,
}

/// Renders `template` as an answer with every header that an HTML page must have.
pub fn page(template: &impl Template, status: StatusCode, policy: &PagePolicy) -> Response {
    let html = match template.render() {
        Ok(html) => html,
        Err(error) => {
            tracing::error!(%error, "a page could not be rendered");
            return StatusCode::INTERNAL_SERVER_ERROR.into_response();
        }
    };
    let mut answer = (status, Html(html)).into_response();
    set_headers(answer.headers_mut(), policy);
    answer
}

/// 128 bits for one answer's script, in base64url.
pub fn nonce() -> String {
    URL_SAFE_NO_PAD.encode(random::bytes::<16>())
}

/// The CSP source that covers `address`: its origin, or its scheme where it has none.
///
/// An IPv6 host has no spelling in a [host-source], so `http://[::1]:8080/cb` needs `http:`.
///
/// [host-source]: https://www.w3.org/TR/CSP3/#grammardef-host-source
pub fn csp_source(address: &str) -> Option<String> {
    let address = Url::parse(address).ok()?;
    let origin = address.origin();
    match address.host() {
        Some(url::Host::Domain(_) | url::Host::Ipv4(_)) if origin.is_tuple() => {
            Some(origin.ascii_serialization())
        }
        Some(url::Host::Domain(_) | url::Host::Ipv4(_) | url::Host::Ipv6(_)) | None => {
            Some(format!("{}:", address.scheme()))
        }
    }
}

/// The letter that stands in for a logo. A name without letter or digit has a plain dot.
pub fn monogram(name: &str) -> String {
    let first = name.chars().find(|c| c.is_alphanumeric());
    first.map_or_else(|| "\u{b7}".to_owned(), |first| first.to_uppercase().collect())
}

fn set_headers(headers: &mut HeaderMap, policy: &PagePolicy) {
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(X_FRAME_OPTIONS, HeaderValue::from_static("DENY"));
    headers.insert(OPENER_POLICY, HeaderValue::from_static("same-origin"));
    headers.insert(PERMISSIONS_POLICY, HeaderValue::from_static(NO_FEATURES));
    let csp = HeaderValue::try_from(policy.render());
    // Every source was checked to be graphic ASCII; were one not, the page gets the strictest policy.
    let csp = csp.unwrap_or(HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'"));
    headers.insert(CONTENT_SECURITY_POLICY, csp);
}

impl PagePolicy {
    fn render(&self) -> String {
        let nonce = self.script_nonce.as_deref().filter(|nonce| is_plain(nonce));
        let script = nonce.map_or_else(|| "'none'".to_owned(), |nonce| format!("'nonce-{nonce}'"));
        let frames: Vec<&str> =
            self.frames.iter().map(String::as_str).filter(|source| is_plain(source)).collect();
        let frames = if frames.is_empty() {
            String::new()
        } else {
            format!("frame-src {}; ", frames.join(" "))
        };
        // Not one of those that `default-src` stands in for: without it, anywhere.
        let forms = match self.form_targets {
            FormTargets::Here => "form-action 'self'; ",
            FormTargets::Anywhere => "",
        };
        format!(
            "default-src 'none'; style-src 'self'; img-src {}; script-src {script}; {frames}\
             {forms}frame-ancestors 'none'; base-uri 'none'",
            self_and(&self.images),
        )
    }
}

fn self_and(sources: &[String]) -> String {
    let mut list = "'self'".to_owned();
    for source in sources.iter().filter(|source| is_plain(source)) {
        list.push(' ');
        list.push_str(source);
    }
    list
}

/// No end of a directive or a policy, no keyword (they are quoted) and no wildcard.
fn is_plain(source: &str) -> bool {
    let plain = |c: u8| c.is_ascii_graphic() && !b";,'\"*".contains(&c);
    !source.is_empty() && source.bytes().all(plain)
}

const OPENER_POLICY: HeaderName = HeaderName::from_static("cross-origin-opener-policy");
const PERMISSIONS_POLICY: HeaderName = HeaderName::from_static("permissions-policy");
const NO_FEATURES: &str = "accelerometer=(), autoplay=(), camera=(), display-capture=(), \
    encrypted-media=(), fullscreen=(), geolocation=(), gyroscope=(), hid=(), magnetometer=(), \
    microphone=(), midi=(), payment=(), picture-in-picture=(), serial=(), usb=(), xr-spatial-tracking=()";

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Template)]
    #[template(source = "<p>{{ text }}</p>", ext = "html")]
    struct Plain<'a> {
        text: &'a str,
    }

    fn csp(policy: &PagePolicy) -> String {
        let answer = page(&Plain { text: "x" }, StatusCode::OK, policy);
        answer.headers()[CONTENT_SECURITY_POLICY].to_str().unwrap().to_owned()
    }

    #[test]
    fn a_page_carries_every_header_and_the_strict_policy() {
        let answer = page(&Plain { text: "x" }, StatusCode::BAD_REQUEST, &PagePolicy::default());
        assert_eq!(answer.status(), StatusCode::BAD_REQUEST);
        for (name, value) in [
            ("content-type", "text/html; charset=utf-8"),
            ("cache-control", "no-store"),
            ("x-frame-options", "DENY"),
            ("cross-origin-opener-policy", "same-origin"),
            (
                "content-security-policy",
                "default-src 'none'; style-src 'self'; img-src 'self'; script-src 'none'; \
                 form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
            ),
        ] {
            assert_eq!(answer.headers()[name], value, "{name}");
        }
        assert!(answer.headers().contains_key("permissions-policy"));
    }

    #[test]
    fn a_source_that_could_open_the_policy_is_dropped() {
        let hostile = [
            "",
            "https://a.example; script-src *",
            "https://a.example,default-src",
            "https://a.example https://b.example",
            "https://a.example\r\nx: y",
            "https://a\u{e9}.example",
            "'unsafe-inline'",
            "*",
        ];
        let policy = PagePolicy {
            form_targets: FormTargets::Here,
            images: hostile.map(str::to_owned).into(),
            script_nonce: Some("x' 'unsafe-inline".to_owned()),
            frames: hostile.map(str::to_owned).into(),
        };
        assert_eq!(csp(&policy), csp(&PagePolicy::default()));
    }

    #[test]
    fn a_page_opens_exactly_what_it_names() {
        let nonce = nonce();
        let policy = PagePolicy {
            form_targets: FormTargets::Anywhere,
            images: vec!["https://cdn.example".to_owned()],
            script_nonce: Some(nonce.clone()),
            frames: vec!["https://a.example".to_owned(), "https://b.example:8443".to_owned()],
        };
        let csp = csp(&policy);
        assert!(csp.contains("; frame-src https://a.example https://b.example:8443;"), "{csp}");
        assert!(!csp.contains("form-action"), "{csp}");
        assert!(csp.ends_with("; frame-ancestors 'none'; base-uri 'none'"), "{csp}");
        assert!(csp.contains("img-src 'self' https://cdn.example;"), "{csp}");
        assert!(csp.contains(&format!("script-src 'nonce-{nonce}';")), "{csp}");
    }

    #[test]
    fn a_nonce_is_128_bits_and_never_the_same() {
        assert_eq!(nonce().len(), 22);
        assert_ne!(nonce(), nonce());
    }

    #[test]
    fn the_source_of_an_address_is_its_origin_where_csp_can_spell_it() {
        for (address, source) in [
            ("https://app.example/cb?x=1", Some("https://app.example")),
            ("http://127.0.0.1:8080/cb", Some("http://127.0.0.1:8080")),
            ("http://[::1]:8080/cb", Some("http:")),
            ("com.example.app:/cb", Some("com.example.app:")),
            ("com.example.app://host/cb", Some("com.example.app:")),
            ("not an address", None),
        ] {
            assert_eq!(csp_source(address).as_deref(), source, "{address}");
        }
    }

    #[test]
    fn a_name_always_has_a_monogram() {
        for (name, letter) in
            [("photo shop", "P"), ("\"4ever", "4"), ("\u{e9}t\u{e9}", "\u{c9}"), ("--", "\u{b7}")]
        {
            assert_eq!(monogram(name), letter);
        }
    }
}
