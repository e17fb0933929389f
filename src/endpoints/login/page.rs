//! The template of the login page, in each of its states.

use askama::Template;

use crate::http::parties::{ClientCard, UserCard};

/// Asks for a user name and a password, and offers to continue with the session there is.
#[derive(Clone, Debug, Default, Template)]
#[template(path = "login/login.html")]
pub struct LoginPage<'a> {
    pub interaction: &'a str,
    pub csrf: &'a str,
    pub client: ClientCard<'a>,
    pub policy_uri: Option<&'a str>,
    pub tos_uri: Option<&'a str>,
    /// The value of the field: the `login_hint`, or what was typed last.
    pub username: &'a str,
    /// Why the form is shown again.
    pub alert: Option<Alert>,
    /// The user of the session, who may continue without a password.
    pub current: Option<UserCard<'a>>,
    /// The user of the session, who has to authenticate again. The user name can still be changed, as another
    /// person may use this browser now.
    pub again: Option<UserCard<'a>>,
    /// Whether there is a button back to the client without signing in.
    pub cancel: bool,
}

/// Why the form is shown again.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Alert {
    pub words: &'static str,
    /// Whether something else has to be typed, rather than the same a little later.
    pub is_about_input: bool,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Focus {
    Username,
    Password,
    /// Another choice stands above the form, and focus must not jump over it.
    Untouched,
}

impl LoginPage<'_> {
    fn focus(&self) -> Focus {
        if self.current.is_some() {
            Focus::Untouched
        } else if self.username.is_empty() {
            Focus::Username
        } else {
            Focus::Password
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::page_test_util::{
        MARKUP, assert_has, assert_isolated, assert_same_skeleton, rendered, words,
    };
    use crate::http::parties::ClientTrust;

    const ADA: UserCard<'static> = UserCard { name: "Ada Lovelace", username: Some("ada") };
    const WRONG: Alert = Alert {
        words: "That user name and password do not match. Please try again.",
        is_about_input: true,
    };

    fn plain() -> LoginPage<'static> {
        LoginPage {
            interaction: "01JD3K7V0Y5T8Q2N6M4P9R1S3W",
            csrf: "q83vEjRWeJq83vEjRWeJqw",
            client: ClientCard {
                name: "Photo Shop",
                returns_to: "photos.example".to_owned(),
                ..ClientCard::default()
            },
            cancel: true,
            ..LoginPage::default()
        }
    }

    fn full(text: &str) -> LoginPage<'_> {
        let person = Some(UserCard { name: text, username: Some(text) });
        LoginPage {
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
            username: text,
            alert: Some(WRONG),
            current: person,
            again: person,
            cancel: true,
        }
    }

    #[test]
    fn the_form_has_the_ids_names_and_hints_that_people_and_tools_rely_on() {
        let html = rendered("login", &plain());
        assert_eq!(words(&html, "h1"), "Sign in");
        assert_has(
            &html,
            &[
                "form[method=post][action='/login'] #login-submit[type=submit]",
                "input[name=username][autocomplete=username][autofocus]",
                "input[name=password][type=password][autocomplete=current-password][required]",
                "input[type=hidden][name=interaction]",
                "input[type=hidden][name=csrf]",
                "button[name=cancel][value='1'][formnovalidate]",
                "label[for=username]",
                "label[for=password]",
            ],
        );
        let to = "to continue to Photo Shop You return to photos.example";
        assert_eq!(words(&html, ".client p"), to);
        assert_isolated(&html, &["Photo Shop", "photos.example"]);
        assert!(!html.contains("aria-invalid") && !html.contains("class=\"notice"));
    }

    #[test]
    fn who_registered_itself_is_known_for_it_before_a_password_is_typed() {
        let said = |standing| {
            let client = ClientCard { standing, ..plain().client };
            rendered("login-registered", &LoginPage { client, ..plain() })
        };
        for standing in [ClientTrust::SelfRegistered, ClientTrust::SelfRegisteredOnDevice] {
            let html = said(standing);
            assert_eq!(words(&html, ".unvouched"), "Nobody here has vouched for this app.");
        }
        for standing in [ClientTrust::Declared, ClientTrust::OnDevice] {
            assert!(!said(standing).contains("vouched"), "{standing:?}");
        }
    }

    #[test]
    fn enter_signs_in_and_does_not_cancel() {
        let html = rendered("login", &plain());
        assert!(
            html.find("login-submit") < html.find("login-cancel"),
            "the first button is pressed"
        );
    }

    #[test]
    fn a_wrong_password_is_told_and_only_the_password_is_asked_again() {
        let html =
            rendered("login-alert", &LoginPage { alert: Some(WRONG), username: "ada", ..plain() });
        assert_eq!(words(&html, "[role=alert]"), WRONG.words);
        assert_has(&html, &["input[name=username][value=ada]", "#password[autofocus]"]);
        for field in ["#username", "#password"] {
            assert_has(&html, &[&format!("{field}[aria-describedby=alert][aria-invalid=true]")]);
        }
        assert!(words(&html, "title").starts_with("Error: "));
    }

    #[test]
    fn nothing_typed_is_called_wrong_where_only_time_helps() {
        let alert = Some(Alert { is_about_input: false, ..WRONG });
        let html = rendered("login-busy", &LoginPage { alert, username: "ada", ..plain() });
        assert_has(&html, &["#password[aria-describedby=alert]:not([aria-invalid])"]);
    }

    #[test]
    fn the_signed_in_person_may_continue_or_use_another_account() {
        let html = rendered("login-current", &LoginPage { current: Some(ADA), ..plain() });
        let button = "button[name=continue][value='1']";
        assert_eq!(words(&html, button), "Continue as Ada Lovelace ( ada )");
        assert_isolated(&html, &["Ada Lovelace", "ada"]);
        assert_has(&html, &["#login-submit"]);
        assert!(!html.contains("autofocus"));
    }

    #[test]
    fn signing_in_again_offers_no_way_around_the_password() {
        let page = LoginPage { again: Some(ADA), username: "ada", ..plain() };
        let html = rendered("login-again", &page);
        assert_eq!(
            words(&html, "#again"),
            "For your safety, enter your password again to go on as Ada Lovelace ( ada ) ."
        );
        assert_isolated(&html, &["Ada Lovelace", "ada"]);
        assert_has(&html, &["input[name=username][value=ada]:not([readonly])"]);
        assert_has(&html, &["#password[autofocus]"]);
        assert!(!html.contains("name=\"continue\""));
    }

    #[test]
    fn there_is_never_more_than_one_notice() {
        let client = ClientCard { standing: ClientTrust::SelfRegistered, ..plain().client };
        let (alert, again) = (Some(WRONG), Some(ADA));
        let html = rendered(
            "login-again-alert",
            &LoginPage { client, alert, again, username: "ada", ..plain() },
        );
        assert_has(&html, &[".notice", "#alert", "#again", "#password[aria-describedby=alert]"]);
    }

    #[test]
    fn the_heaviest_page_is_light() {
        let words = "Wide words ".repeat(6);
        let address = format!("https://photos.example/{}", "p".repeat(400));
        let page = LoginPage {
            client: ClientCard { logo: Some("/favicon.svg"), ..full(&words).client },
            policy_uri: Some(&address),
            tos_uri: Some(&address),
            ..full(&words)
        };
        rendered("login-full", &page);
    }

    #[test]
    fn markup_in_any_field_stays_text() {
        assert_same_skeleton(&full("x"), &full(MARKUP));
        let again = |text| LoginPage { current: None, ..full(text) };
        assert_same_skeleton(&again("x"), &again(MARKUP));
    }
}
