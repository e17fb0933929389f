use std::collections::BTreeMap;

use latchkey::config::{
    Config, ConfigErrors, MetricsListen, RegistrationPolicy, describe, dotenv, env_vars,
};
use latchkey::protocol::algorithms::ClientAlg;
use url::Url;

use super::{reference_parsers, text};

/// A configuration that is accepted is one to run with ([OpenID Connect Discovery §3], RFC 6749 §4.1.2): an
/// https issuer or a loopback one, without path, query and fragment; long secrets; bounded lifetimes. One
/// that is refused names a variable in every complaint. And no secret is ever repeated, be it refused or
/// described.
///
/// The input is the text of a `.env` file.
///
/// [OpenID Connect Discovery §3]: https://openid.net/specs/openid-connect-discovery-1_0.html#ProviderMetadata
pub fn config(data: &[u8]) {
    holds(data, Config::from_map);
}

pub fn holds(
    data: &[u8],
    read: impl Fn(&BTreeMap<String, String>) -> Result<Config, ConfigErrors>,
) {
    let file = text(data);
    let (map, complaints) = dotenv::parse(&file);
    for complaint in &complaints {
        assert!(complaint.contains(".env"), "{complaint}");
    }
    for (name, value) in &map {
        assert!(env_vars::is_known(name), "{name}");
        assert!(
            file.contains(&**name) && (value.contains(['\n', '\r', '\t']) || stands(value, &file))
        );
    }
    let secrets: Vec<&str> = map
        .iter()
        .filter(|(name, _)| env_vars::find(name).is_some_and(|var| var.secret))
        .map(|(_, value)| value.trim())
        .collect();
    let tell = |said: &str| {
        // A short one, or a plain word, may stand there by chance.
        for secret in
            secrets.iter().filter(|it| it.len() >= 12 && it.bytes().any(|c| c.is_ascii_digit()))
        {
            let public = map.values().filter(|it| it.contains(*secret)).count() > 1;
            assert!(public || !said.contains(*secret), "{said} tells a secret");
        }
    };
    match read(&map) {
        Ok(config) => {
            good(&config);
            config.warnings.iter().for_each(|warning| tell(warning));
            tell(&describe(&config));
            tell(&format!("{config:?}"));
        }
        Err(ConfigErrors(lines)) => {
            assert!(!lines.is_empty());
            for line in &lines {
                let name = line.split(' ').next().unwrap_or_default();
                assert!(env_vars::is_known(name), "{line}");
                tell(line);
            }
        }
    }
}

/// Quotes and escapes may have been taken off.
fn stands(value: &str, file: &str) -> bool {
    let plain = |text: &str| text.replace('\\', "");
    file.contains(value) || plain(file).contains(&plain(value))
}

fn good(config: &Config) {
    let issuer = config.issuer.as_str();
    let (url, read) = (Url::parse(issuer).expect("a URL"), reference_parsers::Uri::split(issuer));
    let is_loopback = read.is_loopback();
    assert!(
        read.scheme == Some("https") || (read.scheme == Some("http") && is_loopback),
        "{issuer}"
    );
    assert_eq!((read.query, read.fragment, read.user, read.path), (None, None, None, ""));
    assert_eq!(url.as_str(), format!("{issuer}/"), "one spelling");
    assert_eq!(config.issuer.is_loopback(), is_loopback);
    assert!(config.secret_key.is_some() || is_loopback, "a key of our own making, and not at home");
    for secret in [&config.secret_key, &config.secret_key_previous, &config.pairwise_salt] {
        assert!(secret.as_ref().is_none_or(|it| it.reveal().chars().count() >= 32));
    }
    match &config.registration {
        RegistrationPolicy::Open | RegistrationPolicy::Off => {}
        RegistrationPolicy::Token(tokens) => {
            assert!(tokens.iter().all(|it| it.reveal().chars().count() >= 32));
        }
    }
    assert!(!config.listen.is_empty());
    let metrics = match &config.metrics_listen {
        MetricsListen::Separate { address, .. } => Some(address),
        MetricsListen::MainListener | MetricsListen::Off => None,
    };
    for address in config.listen.iter().chain(metrics) {
        let port = address.rsplit(':').next().unwrap_or_default();
        assert!(port.parse::<u16>().is_ok(), "{address}");
    }
    let lifetimes = &config.lifetimes;
    assert!((1..=600).contains(&lifetimes.code.as_secs()), "{lifetimes:?}");
    assert!(lifetimes.refresh_idle <= lifetimes.refresh_absolute, "{lifetimes:?}");
    assert!(lifetimes.session_idle <= lifetimes.session_absolute, "{lifetimes:?}");
    assert!(lifetimes.refresh_grace.as_secs() <= 120, "{lifetimes:?}");
    assert!(config.key_ring.signing_algs.contains(&ClientAlg::Rs256));
    assert!(config.public_key_path.is_none() || config.private_key_path.is_some());
    assert!(
        config.dev_account.is_none() || is_loopback,
        "an account for development, and not at home"
    );
    for origin in &config.cors.origins {
        let (url, read) =
            (Url::parse(origin).expect("a URL"), reference_parsers::Uri::split(origin));
        if matches!(read.scheme, Some("http" | "https")) {
            assert_eq!(&url.origin().ascii_serialization(), origin);
        }
        // A web view's has a scheme of its own, and no more than a host beside it.
        assert_eq!((read.query, read.fragment, read.user, read.path), (None, None, None, ""));
        assert!(url.has_host() && !origin.contains('*') && *origin == origin.to_ascii_lowercase());
    }
}
