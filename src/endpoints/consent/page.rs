//! The template of the consent page: the client, the user, what is asked for, and the decision.

use std::time::Duration;

use askama::Template;

use crate::http::parties::{ClientCard, UserCard};
use crate::protocol::Scope;
use crate::protocol::claims::ClaimsRequest;

/// Shows what a client asks for. What is granted comes from the stored interaction, never from here.
#[derive(Clone, Debug, Default, Template)]
#[template(path = "consent/consent.html")]
pub struct ConsentPage<'a> {
    pub interaction: &'a str,
    pub csrf: &'a str,
    pub client: ClientCard<'a>,
    pub policy_uri: Option<&'a str>,
    pub tos_uri: Option<&'a str>,
    /// The user of the session.
    pub person: UserCard<'a>,
    /// The URL to sign in as another user.
    pub other: Option<&'a str>,
    pub scopes: Vec<ScopeLine>,
    /// Claims asked for by name, in words, without those that a scope's words include.
    pub claims: Vec<String>,
    /// The APIs that the client would call, by the operator's names.
    pub resources: Vec<ScopeLine>,
    pub lasts: ConsentDuration,
    /// The consent is not stored for later requests.
    pub asked_again: bool,
}

/// How long a consent lasts.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum ConsentDuration {
    /// As long as the session, at most.
    #[default]
    WhileSignedIn,
    /// So long after each sign-in, at most, with the session or without.
    For(Duration),
}

impl ConsentDuration {
    /// The sentence on the page.
    fn words(self) -> String {
        match self {
            Self::WhileSignedIn => "This lasts while you are signed in here.".to_owned(),
            Self::For(time) => {
                format!(
                    "This lasts up to {} after you sign in, also while you are away.",
                    duration_words(time)
                )
            }
        }
    }
}

/// A duration in the largest unit that divides it.
fn duration_words(time: Duration) -> String {
    let seconds = time.as_secs();
    let units = [(86_400, "day"), (3_600, "hour"), (60, "minute"), (1, "second")];
    let fits =
        units.into_iter().find(|(unit, _)| seconds >= *unit && seconds.is_multiple_of(*unit));
    let (unit, name) = fits.unwrap_or((1, "second"));
    let count = seconds / unit;
    format!("{count} {name}{}", if count == 1 { "" } else { "s" })
}

/// One scope in words.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ScopeLine {
    pub title: String,
    pub detail: Option<String>,
}

/// The words for a scope: ours for the standard ones, else the configured description, else the name. A scope
/// without words is shown rather than hidden.
pub fn scope_line(scope: &str, description: Option<&str>) -> ScopeLine {
    let (title, detail) = match scope {
        "openid" => ("Know that it is you", ""),
        "profile" => (
            "See your profile",
            "Names, picture, website, gender, date of birth, language and time zone",
        ),
        "email" => ("See your email address", ""),
        "address" => ("See your postal address", ""),
        "phone" => ("See your phone number", ""),
        "groups" => ("See which groups you are in", ""),
        "offline_access" => ("Keep all this while you are away", ""),
        other => match description {
            Some(description) => (description, other),
            None => (other, ""),
        },
    };
    let detail = (!detail.is_empty()).then(|| detail.to_owned());
    ScopeLine { title: title.to_owned(), detail }
}

/// The words for an API: the operator's name for it, and always its resource identifier.
pub fn resource_line(resource: &str, name: Option<&str>) -> ScopeLine {
    match name {
        Some(name) => ScopeLine { title: name.to_owned(), detail: Some(resource.to_owned()) },
        None => ScopeLine { title: resource.to_owned(), detail: None },
    }
}

/// The words for each claim that is asked for by name (OpenID Connect Core §5.5), for the
/// ID token or for userinfo, which is the same to the user. What the words of a requested scope include is not
/// repeated. A custom claim is shown by its name.
pub fn claim_lines(asked: &ClaimsRequest, scope: &Scope) -> Vec<String> {
    let said = |(_, _, by): &(&str, &str, Option<&str>)| by.is_some_and(|by| scope.contains(by));
    let names = asked.user_claims();
    let known = CLAIM_WORDS.iter().filter(|row| names.contains(row.0) && !said(row));
    let unknown = names.iter().filter(|name| CLAIM_WORDS.iter().all(|row| row.0 != **name));
    known.map(|row| row.1).chain(unknown.copied()).map(str::to_owned).collect()
}

/// Claim, words, and the scope whose words name it already.
#[rustfmt::skip]
const CLAIM_WORDS: [(&str, &str, Option<&str>); 20] = [
    ("name",                  "Your full name",                               Some("profile")),
    ("given_name",            "Your first name",                              Some("profile")),
    ("middle_name",           "Your middle name",                             Some("profile")),
    ("family_name",           "Your family name",                             Some("profile")),
    ("nickname",              "Your nickname",                                Some("profile")),
    ("preferred_username",    "Your user name",                               Some("profile")),
    ("email",                 "Your email address",                           Some("email")),
    ("email_verified",        "Whether your email address has been confirmed", Some("email")),
    ("phone_number",          "Your phone number",                            Some("phone")),
    ("phone_number_verified", "Whether your phone number has been confirmed", Some("phone")),
    ("address",               "Your postal address",                          Some("address")),
    ("birthdate",             "Your date of birth",                           Some("profile")),
    ("gender",                "Your gender",                                  Some("profile")),
    ("picture",               "Your picture",                                 Some("profile")),
    ("profile",               "The address of your profile page",             Some("profile")),
    ("website",               "Your website",                                 Some("profile")),
    ("locale",                "Your language and region",                     Some("profile")),
    ("zoneinfo",              "Your time zone",                               Some("profile")),
    ("updated_at",            "When your details last changed",               Some("profile")),
    ("groups",                "The groups you are in",                        Some("groups")),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::page_test_util::{
        MARKUP, assert_has, assert_isolated, assert_same_skeleton, rendered, words,
    };
    use crate::http::parties::ClientTrust;
    use crate::protocol::claims::ScopeCatalogue;

    fn plain() -> ConsentPage<'static> {
        ConsentPage {
            interaction: "01JD3K7V0Y5T8Q2N6M4P9R1S3W",
            csrf: "q83vEjRWeJq83vEjRWeJqw",
            client: ClientCard {
                name: "Photo Shop",
                returns_to: "photos.example".to_owned(),
                ..ClientCard::default()
            },
            person: UserCard { name: "Ada Lovelace", username: Some("ada") },
            other: Some("/login?interaction=01JD3K7V0Y5T8Q2N6M4P9R1S3W&other=1"),
            scopes: vec![scope_line("openid", None), scope_line("email", None)],
            ..ConsentPage::default()
        }
    }

    fn full(text: &str) -> ConsentPage<'_> {
        ConsentPage {
            interaction: text,
            csrf: text,
            client: ClientCard {
                name: text,
                logo: Some(text),
                returns_to: text.to_owned(),
                standing: ClientTrust::SelfRegistered,
            },
            policy_uri: Some(text),
            tos_uri: Some(text),
            person: UserCard { name: text, username: Some(text) },
            other: Some(text),
            scopes: vec![scope_line(text, Some(text)), scope_line(text, None)],
            claims: vec![text.to_owned()],
            resources: vec![resource_line(text, Some(text))],
            lasts: ConsentDuration::For(Duration::from_secs(1)),
            asked_again: true,
        }
    }

    fn standard() -> Vec<ScopeLine> {
        Scope::STANDARD.map(|scope| scope_line(scope, None)).into()
    }

    #[test]
    fn the_page_says_who_asks_who_is_asked_and_for_what() {
        let html = rendered("consent", &plain());
        assert_eq!(words(&html, "h1"), "Allow Photo Shop ?");
        assert_eq!(words(&html, ".client .quiet"), "You return to photos.example");
        assert_eq!(words(&html, ".person"), "Signed in as Ada Lovelace ( ada ) Not you?");
        assert!(words(&html, ".scopes").contains("Know that it is you"));
        assert_has(&html, &["a#consent-other[href^='/login?'][href$='&other=1']"]);
        assert_isolated(&html, &["Photo Shop", "photos.example", "Ada Lovelace", "ada"]);
        let nobody_else = ConsentPage { other: None, ..plain() };
        assert!(!rendered("consent-hinted", &nobody_else).contains("Not you?"));
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
    fn a_client_comes_with_the_caution_that_it_needs_and_no_other() {
        let page = |standing| {
            let client = ClientCard { standing, ..plain().client };
            ConsentPage { client, scopes: standard(), ..plain() }
        };
        assert!(!rendered("consent-six", &page(ClientTrust::Declared)).contains("class=\"notice"));
        for (name, standing, said) in [
            ("consent-device", ClientTrust::OnDevice, "This app runs on your device."),
            (
                "consent-registered",
                ClientTrust::SelfRegistered,
                "Nobody here has vouched for this app.",
            ),
            (
                "consent-registered-device",
                ClientTrust::SelfRegisteredOnDevice,
                "Nobody here has vouched for this app.",
            ),
        ] {
            let html = rendered(name, &page(standing));
            assert_has(&html, &[".notice", ".caution"]);
            assert!(words(&html, ".caution").starts_with(said), "{name}");
        }
    }

    #[test]
    fn how_long_it_lasts_is_told_once_and_truly() {
        let told = |lasts, asked_again| {
            let html = rendered("consent-lasts", &ConsentPage { lasts, asked_again, ..plain() });
            words(&html, "#lasts")
        };
        let days = |days: u64| ConsentDuration::For(Duration::from_secs(days * 86_400));
        for (lasts, asked_again, words) in [
            (
                ConsentDuration::WhileSignedIn,
                false,
                "This lasts while you are signed in here. Your answer is remembered for a year.",
            ),
            (
                days(30),
                false,
                "This lasts up to 30 days after you sign in, also while you are away. Your answer is remembered for a year.",
            ),
            (
                days(1),
                true,
                "This lasts up to 1 day after you sign in, also while you are away. You will be asked each time.",
            ),
        ] {
            assert_eq!(told(lasts, asked_again), words);
        }
        for (seconds, words) in [(5_400, "90 minutes"), (7_200, "2 hours"), (1, "1 second")] {
            assert_eq!(duration_words(Duration::from_secs(seconds)), words);
        }
    }

    #[test]
    fn a_full_page_has_its_links_before_the_answer() {
        let page = ConsentPage {
            client: ClientCard { logo: Some("/favicon.svg"), ..plain().client },
            policy_uri: Some("https://photos.example/privacy"),
            tos_uri: Some("https://photos.example/terms"),
            scopes: standard(),
            lasts: ConsentDuration::For(Duration::from_secs(30 * 86_400)),
            ..plain()
        };
        let html = rendered("consent-links", &page);
        assert_has(&html, &[".links a[href='https://photos.example/privacy'][rel~=noopener]"]);
        assert_has(&html, &[".links a[href='https://photos.example/terms'][rel~=noopener]"]);
        assert!(html.find("class=\"links\"") < html.find("consent-deny"));
    }

    #[test]
    fn names_of_any_length_and_direction_stay_apart_from_what_is_said_about_them() {
        let (long, arabic) = (
            "Wonderful ".repeat(6),
            "\u{635}\u{648}\u{631} \u{645}\u{646} \u{635}\u{62f}\u{64a}\u{642}",
        );
        let person = UserCard {
            name: "\u{5e2}\u{5d3}\u{5d4} \u{5dc}\u{5d0}\u{5d1}\u{5dc}\u{5d9}\u{5d9}\u{5e1}",
            username: Some("ada"),
        };
        let host = format!("{}.photos.example", "a-long-label".repeat(4));
        for (name, called) in [("consent-long", &*long), ("consent-rtl", arabic)] {
            let client = ClientCard { name: called, returns_to: host.clone(), ..plain().client };
            let html = rendered(name, &ConsentPage { client, person, ..plain() });
            assert_isolated(&html, &[called.trim(), person.name, &host]);
        }
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
        assert_eq!(lines(mixed, "openid profile"), ["Your email address", "department"]);
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
    fn every_api_that_the_client_would_act_at_is_named() {
        let apis = [("https://mail.example/mcp", Some("Mail")), ("https://files.example/", None)];
        let resources = apis.map(|(resource, name)| resource_line(resource, name)).to_vec();
        let html = rendered("consent-apis", &ConsentPage { resources, ..plain() });
        let shown = words(&html, ".apis");
        for said in ["Mail", "https://mail.example/mcp", "https://files.example/"] {
            assert_eq!(shown.matches(said).count(), 1, "{shown}");
        }
        assert!(!rendered("consent", &plain()).contains("Act for you"));
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
            client: ClientCard { logo: Some("/favicon.svg"), ..full(&words).client },
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
