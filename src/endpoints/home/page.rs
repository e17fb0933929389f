//! The template of the page at `/`.

use askama::Template;

/// Names the issuer and where its metadata is.
#[derive(Clone, Debug, Template)]
#[template(path = "home/home.html")]
pub struct HomePage<'a> {
    pub issuer: &'a str,
    /// The address of the discovery document.
    pub discovery: &'a str,
    pub version: &'a str,
    pub trial: Option<DemoLogin<'a>>,
}

/// The demo client and the demo user.
#[derive(Clone, Copy, Debug)]
pub struct DemoLogin<'a> {
    pub user: &'a str,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::page_test_util::{MARKUP, assert_has, assert_same_skeleton, rendered};

    const PLAIN: HomePage<'static> = HomePage {
        issuer: "https://id.example",
        discovery: "https://id.example/.well-known/openid-configuration",
        version: "0.1.0",
        trial: None,
    };

    fn full(text: &str) -> HomePage<'_> {
        let trial = Some(DemoLogin { user: text });
        HomePage { issuer: text, discovery: text, version: text, trial }
    }

    #[test]
    fn the_page_leads_to_the_metadata() {
        let html = rendered("home", &PLAIN);
        assert_has(&html, &["a[href='https://id.example/.well-known/openid-configuration']"]);
        assert!(!html.contains("Try it now"));
    }

    #[test]
    fn a_trial_says_how_to_begin() {
        let trial = Some(DemoLogin { user: "ada" });
        let html = rendered("home-trial", &HomePage { trial, ..PLAIN });
        assert_has(&html, &["a.button[href='/demo']"]);
    }

    #[test]
    fn markup_in_any_field_stays_text() {
        assert_same_skeleton(&full("x"), &full(MARKUP));
    }
}
