//! Who reads an answer that no room made: a person in front of a page, or a program.

use axum::http::{HeaderMap, Uri};

use crate::http::accept::prefers_html;

/// Who the answer is for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum ResponseFormat {
    Html,
    Json,
}

impl ResponseFormat {
    /// A person, if the address is one that people open, and their browser would rather have a page.
    pub(super) fn negotiate(uri: &Uri, headers: &HeaderMap) -> Self {
        if is_page(uri.path()) && prefers_html(headers) { Self::Html } else { Self::Json }
    }

    /// The same, where the beginning of the request is all there is: whoever asks for a page is a person.
    pub(super) fn from_request_line(method: &str, path: &str) -> Self {
        if method == "GET" && is_page(path) { Self::Html } else { Self::Json }
    }
}

fn is_page(path: &str) -> bool {
    PAGE_PATHS.contains(&path.split('/').nth(1).unwrap_or_default())
}

/// The rooms with pages, by the first piece of their paths; the first is the front door.
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
