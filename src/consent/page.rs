//! The consent page: who asks, who is asked, for what, and a plain yes or no.

use askama::Template;

use crate::protocol::Scope;
use crate::protocol::claims::ClaimsRequest;

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
    /// Single claims in words, beside what the scopes say already.
    pub claims: Vec<String>,
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

/// The words for each claim that is asked for by name (OpenID Connect Core §5.5), whether it is for the
/// ID token or for userinfo: to the person that is one thing. What the words of a requested scope name
/// already is not said twice. A claim of the operator's own has its name, for it is better to show a riddle
/// than to hide a request.
pub fn claim_lines(asked: &ClaimsRequest, scope: &Scope) -> Vec<String> {
    let said = |(_, _, by): &(&str, &str, Option<&str>)| by.is_some_and(|by| scope.contains(by));
    let names = asked.names();
    let known = CLAIM_WORDS.iter().filter(|row| names.contains(row.0) && !said(row));
    let unknown = names.iter().filter(|name| CLAIM_WORDS.iter().all(|row| row.0 != **name));
    known.map(|row| row.1).chain(unknown.copied()).map(str::to_owned).collect()
}

/// Claim, words, and the scope whose words name it already.
#[rustfmt::skip]
const CLAIM_WORDS: [(&str, &str, Option<&str>); 20] = [
    ("name",                  "Your full name",                               None),
    ("given_name",            "Your first name",                              None),
    ("middle_name",           "Your middle name",                             None),
    ("family_name",           "Your family name",                             None),
    ("nickname",              "Your nickname",                                None),
    ("preferred_username",    "Your user name",                               None),
    ("email",                 "Your email address",                           Some("email")),
    ("email_verified",        "Whether your email address has been confirmed", Some("email")),
    ("phone_number",          "Your phone number",                            Some("phone")),
    ("phone_number_verified", "Whether your phone number has been confirmed", Some("phone")),
    ("address",               "Your postal address",                          Some("address")),
    ("birthdate",             "Your date of birth",                           None),
    ("gender",                "Your gender",                                  None),
    ("picture",               "Your picture",                                 None),
    ("profile",               "The address of your profile page",             None),
    ("website",               "Your website",                                 None),
    ("locale",                "Your language and region",                     None),
    ("zoneinfo",              "Your time zone",                               None),
    ("updated_at",            "When your details last changed",               None),
    ("groups",                "The groups you are in",                        None),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::page_checks::{MARKUP, assert_has, assert_same_skeleton, rendered, words};
    use crate::protocol::claims::ScopeCatalogue;

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
            claims: vec![text.to_owned()],
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
    fn each_single_claim_is_named_once_in_words() {
        let asked = |text: &str| ClaimsRequest::parse(text).unwrap();
        let lines = |text: &str, scope: &str| claim_lines(&asked(text), &scope.parse().unwrap());
        let mixed = r#"{"id_token":{"department":null,"email":null,"sub":null,"acr":null},
            "userinfo":{"name":{"essential":true},"email":{"value":"a@b.example"}}}"#;
        let words = ["Your full name", "Your email address", "department"];
        assert_eq!(lines(mixed, "openid"), words);
        assert_eq!(lines(mixed, "openid profile"), words, "profile says no more than \"such as\"");
        assert_eq!(lines(mixed, "openid email"), ["Your full name", "department"]);
        assert_eq!(lines("{}", "openid"), [""; 0]);
        for claim in ScopeCatalogue::default().claims() {
            let one = lines(&format!(r#"{{"userinfo":{{"{claim}":null}}}}"#), "openid");
            assert!(one.len() == 1 && one[0] != claim, "{claim}: {one:?}");
        }
    }

    #[test]
    fn every_claim_there_is_still_makes_a_page_to_be_read() {
        let catalogue = ScopeCatalogue::default();
        let claims: Vec<_> =
            catalogue.claims().into_iter().chain(["groups", "department"]).collect();
        let all = claims.iter().map(|claim| format!(r#""{claim}":null"#)).collect::<Vec<_>>();
        let asked = ClaimsRequest::parse(&format!(r#"{{"userinfo":{{{}}}}}"#, all.join(",")));
        let scope = "openid offline_access".parse().unwrap();
        let page = ConsentPage {
            scopes: vec![scope_line("openid", None)],
            claims: claim_lines(&asked.unwrap(), &scope),
            ..plain()
        };
        let html = rendered("consent-claims", &page);
        let shown = words(&html, ".claims");
        for row in CLAIM_WORDS {
            assert!(shown.contains(row.1), "{}", row.1);
        }
        assert!(shown.contains("department"));
        assert!(!rendered("consent", &plain()).contains("class=\"claims\""));
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
