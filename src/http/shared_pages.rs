//! The error page, and the pages that carry an authorization response: a form that submits itself, and a link.

use askama::Template;

/// An error that cannot be redirected: a message for the user, then the detail for the developer.
///
/// The texts are ours; nothing of the request is echoed in them.
#[derive(Clone, Debug, Default, Template)]
#[template(path = "authorize/error.html")]
pub struct ErrorPage<'a> {
    pub title: &'a str,
    /// For the user.
    pub message: &'a str,
    /// The OAuth error code, such as `invalid_request`.
    pub code: Option<&'a str>,
    /// For the developer who integrates.
    pub detail: Option<&'a str>,
    /// The id of the request in the log.
    pub request_id: &'a str,
    pub next_link: Option<NextLink<'a>>,
}

/// A link to continue by.
#[derive(Clone, Copy, Debug)]
pub struct NextLink<'a> {
    /// A URL of ours, or one that a client registered.
    pub href: &'a str,
    pub label: &'a str,
}

/// The response as a form that submits itself ([Form Post Response Mode §2]), with a button for browsers without
/// scripts.
///
/// [Form Post Response Mode §2]: https://openid.net/specs/oauth-v2-form-post-response-mode-1_0.html#FormPostResponseMode
#[derive(Clone, Debug, Template)]
#[template(path = "authorize/form_post.html")]
pub struct FormPostPage<'a> {
    pub action: &'a str,
    pub fields: &'a [(String, String)],
    pub nonce: &'a str,
}

/// The response as a link, for redirect URIs of native apps: some browsers open another app only after a user
/// gesture ([RFC 8252 appendix B]).
///
/// [RFC 8252 appendix B]: https://www.rfc-editor.org/rfc/rfc8252#appendix-B
#[derive(Clone, Copy, Debug, Template)]
#[template(path = "authorize/continue.html")]
pub struct ContinuePage<'a> {
    pub client_name: &'a str,
    pub href: &'a str,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::page_test_util::{MARKUP, assert_has, assert_same_skeleton, rendered, words};

    const REFUSED: ErrorPage<'static> = ErrorPage {
        title: "Request error",
        message: "The app sent a request that cannot be answered. Nothing was shared with it.",
        code: Some("invalid_request"),
        detail: Some(
            "redirect_uri is not registered for this client. Register it exactly as it is sent.",
        ),
        request_id: "k3j9x0c2m4q8z1t7",
        next_link: None,
    };

    fn full(text: &str) -> ErrorPage<'_> {
        ErrorPage {
            title: text,
            message: text,
            code: Some(text),
            detail: Some(text),
            request_id: text,
            next_link: Some(NextLink { href: text, label: text }),
        }
    }

    #[test]
    fn a_refused_request_is_explained_to_both_readers() {
        let html = rendered("error", &REFUSED);
        assert_eq!(words(&html, "h1"), "Request error");
        assert_eq!(words(&html, ".lead"), REFUSED.message);
        assert!(
            words(&html, ".developer").contains("invalid_request redirect_uri is not registered")
        );
        assert!(html.contains(REFUSED.request_id));
        assert!(!html.contains("<a "), "no way on to a place nobody vouches for");
    }

    #[test]
    fn an_expired_sign_in_offers_the_way_on() {
        let page = ErrorPage {
            title: "This sign-in has expired",
            message: "It was left open for too long, or it was finished in another tab. Start again from the app.",
            request_id: REFUSED.request_id,
            next_link: Some(NextLink {
                href: "https://photos.example/",
                label: "Back to Photo Shop",
            }),
            ..ErrorPage::default()
        };
        let html = rendered("error-expired", &page);
        assert_eq!(words(&html, "a[href='https://photos.example/']"), "Back to Photo Shop");
        assert!(!html.contains("For the developer"));
    }

    #[test]
    fn the_answer_posts_itself_and_has_a_button_without_scripts() {
        let fields = [("code", "c0de"), ("state", "s"), ("iss", "https://id.example")];
        let fields = fields.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let (action, nonce) = ("https://photos.example/cb", "q83vEjRWeJq83vEjRWeJqw");
        let html = rendered("form-post", &FormPostPage { action, fields: &fields, nonce });
        assert_has(
            &html,
            &[
                "form[method=post][action='https://photos.example/cb']",
                "input[type=hidden][name=code][value=c0de]",
                "script[nonce]",
                "noscript",
            ],
        );
        assert!(html.contains(r#"<noscript><button class="primary" type="submit">"#));
    }

    #[test]
    fn an_app_on_the_device_is_one_touch_away() {
        let href = "com.example.photos:/cb?code=c0de";
        let html = rendered("continue", &ContinuePage { client_name: "Photo Shop", href });
        assert_eq!(words(&html, "h1"), "Back to Photo Shop");
        assert_eq!(words(&html, "#continue"), "Open the app");
        assert!(!html.contains("signed in"), "it may be a no that is brought back");
        assert_has(&html, &["a[href='com.example.photos:/cb?code=c0de']"]);
    }

    #[test]
    fn the_longest_answers_are_light_pages() {
        let long = "w".repeat(2048);
        rendered("error-full", &ErrorPage { title: "Request error", ..full(&long[..1000]) });
        let fields = [("code", 300), ("state", 2048), ("iss", 200), ("id_token", 4096)];
        let fields = fields.map(|(name, length)| (name.to_owned(), "w".repeat(length)));
        rendered("form-post-full", &FormPostPage { action: &long, fields: &fields, nonce: "n" });
    }

    #[test]
    fn markup_in_any_field_stays_text() {
        assert_same_skeleton(&full("x"), &full(MARKUP));
        let fields = |text: &str| [(text.to_owned(), text.to_owned())];
        let (benign, hostile) = (fields("x"), fields(MARKUP));
        assert_same_skeleton(
            &FormPostPage { action: "x", fields: &benign, nonce: "x" },
            &FormPostPage { action: MARKUP, fields: &hostile, nonce: MARKUP },
        );
        assert_same_skeleton(
            &ContinuePage { client_name: "x", href: "x" },
            &ContinuePage { client_name: MARKUP, href: MARKUP },
        );
    }
}
