//! Whether an error response that no endpoint made is a page or JSON.

use axum::http::{HeaderMap, Uri};

use crate::http::accept::prefers_html;

/// The format of an error response.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum ResponseFormat {
    Html,
    Json,
}

impl ResponseFormat {
    /// HTML, if the path is that of a page and the `Accept` header prefers it.
    pub(super) fn negotiate(uri: &Uri, headers: &HeaderMap) -> Self {
        if is_page(uri.path()) && prefers_html(headers) { Self::Html } else { Self::Json }
    }

    /// The same where only the start of the request was read: a `GET` for a page is from a browser.
    pub(super) fn from_request_line(method: &str, path: &str) -> Self {
        if method == "GET" && is_page(path) { Self::Html } else { Self::Json }
    }
}

fn is_page(path: &str) -> bool {
    PAGE_PATHS.contains(&path.split('/').nth(1).unwrap_or_default())
}

/// The first segments of the paths that have pages; the empty one is `/`.
const PAGE_PATHS: [&str; 6] = ["", "authorize", "consent", "demo", "login", "logout"];

#[cfg(test)]
mod tests {
    use axum::http::{HeaderValue, header};

    use super::*;

    fn reader(path: &str, accept: &'static str) -> ResponseFormat {
        let headers = [(header::ACCEPT, HeaderValue::from_bytes(accept.as_bytes()).unwrap())];
        ResponseFormat::negotiate(&path.parse().unwrap(), &headers.into_iter().collect())
    }

    #[test]
    fn a_browser_before_a_page_is_a_person_and_everything_else_a_program() {
        use ResponseFormat::{Html, Json};
        let browser = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8";
        #[rustfmt::skip]
        let table = [
            ("/authorize?client_id=shop", browser,                              Html),
            ("/",                         browser,                              Html),
            ("/login",                    "text/html",                          Html),
            ("/logout/done",              "TEXT/HTML; charset=utf-8",           Html),
            ("/authorize",                "application/json;q=0.9, text/html",  Html),
            ("/authorize",                "application/json, text/html;q=0.9",  Json),
            ("/authorize",                "text/html;q=0",                      Json),
            ("/authorize",                "text/html;q=many",                   Json),
            ("/authorize",                "text/\u{e4}, text/html",             Html),
            ("/authorize",                "text/\u{e4}, text/html",             Html),
            ("/authorize",                "*/*",                                Json),
            ("/authorize",                "",                                   Json),
            ("/token",                    browser,                              Json),
            ("/authorized",               browser,                              Json),
        ];
        for (path, accept, expected) in table {
            assert_eq!(reader(path, accept), expected, "{path} {accept}");
        }
    }
}
