//! The templates of the logout pages.

use askama::Template;

use crate::http::parties::UserCard;

/// Asks whether to sign out, if the request does not prove which session it means.
#[derive(Clone, Debug, Default, Template)]
#[template(path = "logout/confirm.html")]
pub struct ConfirmPage<'a> {
    pub csrf: &'a str,
    /// The parameters of the request, for the form.
    pub carried: &'a [(&'a str, &'a str)],
    /// The user of the session.
    pub person: Option<UserCard<'a>>,
    /// The client that seems to ask.
    pub client_name: Option<&'a str>,
    /// The link to stay signed in: a URL of ours, or the client's `client_uri`.
    pub stay: &'a str,
    /// For the developer: why there is no redirect.
    pub detail: Option<&'a str>,
}

/// Says that the session has ended.
#[derive(Clone, Debug, Default, Template)]
#[template(path = "logout/signed_out.html")]
pub struct SignedOutPage<'a> {
    pub client_name: Option<&'a str>,
    /// The link back to the client: the registered `post_logout_redirect_uri` with its `state`.
    pub href: Option<&'a str>,
    /// The URLs of the front-channel frames.
    pub frames: &'a [String],
    /// For the script that redirects once the frames are loaded; needs `href`.
    pub nonce: Option<&'a str>,
    /// For the developer: why there is no redirect.
    pub detail: Option<&'a str>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::page_test_util::{
        MARKUP, assert_has, assert_isolated, assert_same_skeleton, rendered, words,
    };

    const CARRIED: [(&str, &str); 1] = [("client_id", "shop")];

    fn question() -> ConfirmPage<'static> {
        ConfirmPage {
            csrf: "q83vEjRWeJq83vEjRWeJqw",
            carried: &CARRIED,
            person: Some(UserCard { name: "Ada Lovelace", username: Some("ada") }),
            client_name: Some("Photo Shop"),
            stay: "/",
            detail: None,
        }
    }

    #[test]
    fn the_question_names_the_person_and_offers_to_stay() {
        let html = rendered("logout-confirm", &question());
        assert_eq!(words(&html, "h1"), "Sign out");
        assert!(words(&html, "main").contains("signed in as Ada Lovelace ( ada )"));
        assert_isolated(&html, &["Ada Lovelace", "ada", "Photo Shop"]);
        let form = "form[method=post][action='/logout/confirm']";
        assert_has(
            &html,
            &[
                &format!("{form} #logout-confirm[type=submit]"),
                &format!("{form} input[type=hidden][name=csrf]"),
                &format!("{form} input[type=hidden][name=client_id][value=shop]"),
                "a#logout-stay[href='/']",
            ],
        );
    }

    #[test]
    fn the_end_says_so_and_has_a_way_on_where_there_is_one() {
        let html = rendered("logout-done", &SignedOutPage::default());
        assert_eq!(words(&html, "h1"), "Signed out");
        assert!(!html.contains("<a "), "nowhere to go");
        let page = SignedOutPage {
            client_name: Some("Photo Shop"),
            href: Some("https://photos.example/bye?state=s"),
            ..SignedOutPage::default()
        };
        let html = rendered("logout-way-on", &page);
        assert_eq!(words(&html, "#logout-continue"), "Back to Photo Shop");
        assert_has(&html, &["a[href='https://photos.example/bye?state=s']"]);
    }

    #[test]
    fn applications_are_told_by_frames_and_then_it_goes_on_with_scripts_and_without() {
        let frames = ["https://a.example/out?iss=x&sid=y".to_owned()];
        let page = SignedOutPage {
            client_name: Some("Photo Shop"),
            href: Some("https://photos.example/bye"),
            frames: &frames,
            nonce: Some("q83vEjRWeJq83vEjRWeJqw"),
            detail: None,
        };
        let html = rendered("logout-frames", &page);
        assert_eq!(words(&html, "h1"), "Signed out");
        let frame = "iframe[hidden][title][sandbox][src='https://a.example/out?iss=x&sid=y']";
        assert_has(&html, &[frame, "script[nonce]", "a#logout-continue"]);
        let refresh = r#"<noscript><meta http-equiv="refresh" content="3; url=https://photos.example/bye"></noscript>"#;
        assert!(html.contains(refresh), "{html}");
        let html =
            rendered("logout-frames-only", &SignedOutPage { href: None, nonce: None, ..page });
        assert!(html.contains("<iframe") && !html.contains("<script"), "{html}");
    }

    #[test]
    fn a_developer_reads_why_nobody_is_sent_on() {
        let detail = Some("post_logout_redirect_uri is not one of those registered.");
        let html = rendered("logout-detail", &SignedOutPage { detail, ..SignedOutPage::default() });
        assert!(words(&html, ".developer").contains("is not one of those registered"));
        let html = rendered("logout-confirm-detail", &ConfirmPage { detail, ..question() });
        assert!(words(&html, ".developer").contains("is not one of those registered"));
    }

    #[test]
    fn markup_in_any_field_stays_text() {
        let ask = |text: &'static str| {
            let carried = Box::leak(Box::new([(text, text)]));
            let text_or = Some(text);
            ConfirmPage {
                csrf: text,
                carried,
                person: Some(UserCard { name: text, username: text_or }),
                client_name: text_or,
                stay: text,
                detail: text_or,
            }
        };
        assert_same_skeleton(&ask("x"), &ask(MARKUP));
        let done = |text: &'static str| SignedOutPage {
            client_name: Some(text),
            href: Some(text),
            frames: Box::leak(Box::new([text.to_owned()])),
            nonce: Some(text),
            detail: Some(text),
        };
        assert_same_skeleton(&done("x"), &done(MARKUP));
    }
}
