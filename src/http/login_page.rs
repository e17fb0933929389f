//! The sign-in page, in each of its states.

use askama::Template;

/// Asks for a name and a password, and offers the account already signed in.
#[derive(Clone, Debug, Default, Template)]
#[template(path = "login/login.html")]
pub struct LoginPage<'a> {
    pub interaction: &'a str,
    pub csrf: &'a str,
    pub client_name: &'a str,
    pub client_host: Option<&'a str>,
    pub logo_uri: Option<&'a str>,
    pub policy_uri: Option<&'a str>,
    pub tos_uri: Option<&'a str>,
    /// What to fill in: the `login_hint`, or what was typed last.
    pub username: &'a str,
    /// Why the form is shown again.
    pub alert: Option<&'a str>,
    /// The name of the person already signed in, who may go on without a password.
    pub current: Option<&'a str>,
    /// The name of the person already signed in, who has to show the password again. The user name
    /// stays open to change all the same: somebody else may sit at this browser now.
    pub again: Option<&'a str>,
    /// Whether there is a way back to the app without signing in.
    pub cancel: bool,
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
    use crate::http::page_checks::{MARKUP, assert_has, assert_same_skeleton, rendered, words};

    fn plain() -> LoginPage<'static> {
        LoginPage {
            interaction: "01JD3K7V0Y5T8Q2N6M4P9R1S3W",
            csrf: "q83vEjRWeJq83vEjRWeJqw",
            client_name: "Photo Shop",
            client_host: Some("photos.example"),
            cancel: true,
            ..LoginPage::default()
        }
    }

    fn full(text: &str) -> LoginPage<'_> {
        LoginPage {
            interaction: text,
            csrf: text,
            client_name: text,
            client_host: Some(text),
            logo_uri: Some(text),
            policy_uri: Some(text),
            tos_uri: Some(text),
            username: text,
            alert: Some(text),
            current: Some(text),
            again: Some(text),
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
        assert_eq!(words(&html, ".client p"), "to continue to Photo Shop photos.example");
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
        let told = "That user name and password do not fit together. Please try again.";
        let html =
            rendered("login-alert", &LoginPage { alert: Some(told), username: "ada", ..plain() });
        assert_eq!(words(&html, "[role=alert]"), told);
        assert_has(&html, &["input[name=username][value=ada]", "#password[autofocus]"]);
        assert_has(&html, &["#password[aria-describedby=alert]"]);
        assert!(words(&html, "title").starts_with("Error: "));
    }

    #[test]
    fn the_signed_in_person_may_continue_or_use_another_account() {
        let html =
            rendered("login-current", &LoginPage { current: Some("Ada Lovelace"), ..plain() });
        assert_eq!(words(&html, "button[name=continue][value='1']"), "Continue as Ada Lovelace");
        assert_has(&html, &["#login-submit"]);
        assert!(!html.contains("autofocus"));
    }

    #[test]
    fn signing_in_again_offers_no_way_around_the_password() {
        let page = LoginPage { again: Some("Ada Lovelace"), username: "ada", ..plain() };
        let html = rendered("login-again", &page);
        assert_eq!(
            words(&html, "#again"),
            "For your safety, enter your password again to go on as Ada Lovelace ."
        );
        assert_has(&html, &["input[name=username][value=ada]:not([readonly])"]);
        assert_has(&html, &["#password[autofocus][aria-describedby=again]"]);
        assert!(!html.contains("name=\"continue\""));
    }

    #[test]
    fn a_wrong_password_when_signing_in_again_is_described_by_both_notices() {
        let page = LoginPage {
            alert: Some("Please try again."),
            again: Some("Ada Lovelace"),
            username: "ada",
            ..plain()
        };
        let html = rendered("login-again-alert", &page);
        assert_has(&html, &["#alert", "#again", "#password[aria-describedby='alert again']"]);
    }

    #[test]
    fn the_heaviest_page_is_light() {
        let words = "Wide words ".repeat(6);
        let address = format!("https://photos.example/{}", "p".repeat(400));
        let page = LoginPage {
            client_name: &words,
            logo_uri: Some("/favicon.svg"),
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
