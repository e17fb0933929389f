//! The consent page: who asks, who is asked, for what, and a plain yes or no.

use askama::Template;

/// Shows what a client asks for. What is granted comes from the stored interaction, never from here.
#[derive(Clone, Debug, Default, Template)]
#[template(path = "consent/consent.html")]
pub struct ConsentPage<'a> {
    pub interaction: &'a str,
    pub csrf: &'a str,
    pub client_name: &'a str,
    pub client_uri: Option<&'a str>,
    /// Where the answer goes: the one thing about the client that is proven.
    pub redirect_host: &'a str,
    pub logo_uri: Option<&'a str>,
    pub policy_uri: Option<&'a str>,
    pub tos_uri: Option<&'a str>,
    /// Who is signed in.
    pub person: &'a str,
    pub scopes: Vec<ScopeLine>,
    /// The app keeps access while the person is away.
    pub offline: bool,
    /// Nobody vouches for the client's name: it lives on a device, or registered itself.
    pub unverified: bool,
}

/// One scope in words.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ScopeLine {
    pub title: String,
    pub detail: Option<String>,
}

/// The words for a scope. The standard ones have ours; any other has its configured description, and
/// without one its name, for it is better to show a riddle than to hide a request.
pub fn scope_line(scope: &str, description: Option<&str>) -> ScopeLine {
    let (title, detail) = match scope {
        "openid" => ("Confirm who you are", "It can recognise you when you come back"),
        "profile" => ("See your profile", "Such as your name, picture and language"),
        "email" => ("See your email address", "And whether it has been confirmed"),
        "address" => ("See your postal address", ""),
        "phone" => ("See your phone number", "And whether it has been confirmed"),
        "offline_access" => ("Keep access when you are not there", "Until it is withdrawn"),
        other => match description {
            Some(description) => (description, other),
            None => (other, ""),
        },
    };
    let detail = (!detail.is_empty()).then(|| detail.to_owned());
    ScopeLine { title: title.to_owned(), detail }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::page_checks::{MARKUP, assert_has, assert_same_skeleton, rendered, words};
    use crate::protocol::Scope;

    fn plain() -> ConsentPage<'static> {
        ConsentPage {
            interaction: "01JD3K7V0Y5T8Q2N6M4P9R1S3W",
            csrf: "q83vEjRWeJq83vEjRWeJqw",
            client_name: "Photo Shop",
            redirect_host: "photos.example",
            person: "Ada Lovelace",
            scopes: vec![scope_line("openid", None), scope_line("email", None)],
            ..ConsentPage::default()
        }
    }

    fn full(text: &str) -> ConsentPage<'_> {
        ConsentPage {
            interaction: text,
            csrf: text,
            client_name: text,
            client_uri: Some(text),
            redirect_host: text,
            logo_uri: Some(text),
            policy_uri: Some(text),
            tos_uri: Some(text),
            person: text,
            scopes: vec![scope_line(text, Some(text)), scope_line(text, None)],
            offline: true,
            unverified: true,
        }
    }

    #[test]
    fn the_page_says_who_asks_who_is_asked_and_for_what() {
        let html = rendered("consent", &plain());
        for said in ["Photo Shop", "photos.example", "Ada Lovelace", "A short while"] {
            assert!(words(&html, "main").contains(said), "{said}");
        }
        assert!(words(&html, ".scopes").contains("Confirm who you are"));
        assert!(!html.contains("Nobody has checked this app"));
    }

    #[test]
    fn yes_and_no_have_equal_weight() {
        let html = rendered("consent", &plain());
        let form = "form[method=post][action='/consent']";
        assert_has(
            &html,
            &[
                &format!("{form} #consent-accept.choice[type=submit][name=decision][value=accept]"),
                &format!("{form} #consent-deny.choice[type=submit][name=decision][value=deny]"),
                "input[type=hidden][name=interaction]",
                "input[type=hidden][name=csrf]",
            ],
        );
    }

    #[test]
    fn a_client_nobody_vouches_for_comes_with_a_caution_and_lasting_access_is_said() {
        let page = ConsentPage {
            client_uri: Some("https://photos.example"),
            logo_uri: Some("/favicon.svg"),
            policy_uri: Some("https://photos.example/privacy"),
            tos_uri: Some("https://photos.example/terms"),
            scopes: Scope::STANDARD.map(|scope| scope_line(scope, None)).into(),
            offline: true,
            unverified: true,
            ..plain()
        };
        let html = rendered("consent-unverified", &page);
        assert!(words(&html, ".caution").starts_with("Nobody has checked this app."));
        assert!(words(&html, ".facts").contains("Until it is withdrawn, also while you are away"));
        assert_has(&html, &[".links a[href='https://photos.example/privacy'][rel~=noopener]"]);
        assert_has(&html, &[".links a[href='https://photos.example/terms'][rel~=noopener]"]);
    }

    #[test]
    fn every_standard_scope_has_words() {
        for scope in Scope::STANDARD {
            assert_ne!(scope_line(scope, Some("other words")).title, "other words");
            assert_ne!(scope_line(scope, None).title, scope);
        }
    }

    #[test]
    fn another_scope_is_shown_by_description_and_name() {
        let described = scope_line("photos.read", Some("See your photos"));
        assert_eq!(described.title, "See your photos");
        assert_eq!(described.detail.as_deref(), Some("photos.read"));
        assert_eq!(scope_line("photos.read", None).title, "photos.read");
    }

    #[test]
    fn fifty_scopes_are_still_a_light_page() {
        let words = "Wide words ".repeat(6);
        let name = |n| format!("https://api.example/{n:02}");
        let page = ConsentPage {
            client_uri: Some("https://photos.example/a/long/way/down"),
            logo_uri: Some("/favicon.svg"),
            policy_uri: Some("https://photos.example/privacy"),
            tos_uri: Some("https://photos.example/terms"),
            scopes: (0..50).map(|n| scope_line(&name(n), Some(&words))).collect(),
            ..full(&words)
        };
        rendered("consent-full", &page);
    }

    #[test]
    fn markup_in_any_field_stays_text() {
        assert_same_skeleton(&full("x"), &full(MARKUP));
    }
}
