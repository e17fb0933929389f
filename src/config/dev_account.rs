//! The account for the first sign-in on a developer's machine.

use super::issuer::Issuer;
use super::parser::ConfigParser;
use super::secret_string::SecretString;
use crate::infra::store::StoreSettings;

/// The account that makes the first sign-in on a developer's machine possible.
#[derive(Clone, Debug)]
pub struct DevAccount {
    /// The user name.
    pub user: String,
    /// The password; one is made and shown if there is none.
    pub password: Option<SecretString>,
}

/// The development account: if configured, or if there would be no user otherwise.
pub(super) fn dev(
    parser: &mut ConfigParser<'_>,
    issuer: &Issuer,
    store: &StoreSettings,
) -> Option<DevAccount> {
    let asked = ["DEV_USER", "DEV_PASSWORD"].map(|name| (name, parser.get(name).is_some()));
    if !issuer.is_loopback() {
        // A name may come from a Compose file. A password was set on purpose, and would have no effect.
        if parser.get("DEV_PASSWORD").is_some() {
            let problem = "must not be set, because ISSUER_URL is not a loopback one";
            parser.add_error("DEV_PASSWORD", problem);
        } else if parser.get("DEV_USER").is_some() {
            parser.warn(
                "DEV_USER is not used, because ISSUER_URL is not a loopback one: there is no \
                 development account",
            );
        }
        return None;
    }
    let empty = !store.is_durable() && parser.get("BOOTSTRAP_FILE").is_none();
    if !empty && !asked.iter().any(|(_, given)| *given) {
        return None;
    }
    let name = |text: &str| {
        let plain = text.chars().count() <= 64 && !text.chars().any(char::is_control);
        plain.then(|| text.to_owned())
    };
    let user = parser.parse("DEV_USER", "at most 64 characters", name);
    let password = parser.password("DEV_PASSWORD");
    Some(DevAccount { user: user.unwrap_or_else(|| "demo".to_owned()), password })
}
