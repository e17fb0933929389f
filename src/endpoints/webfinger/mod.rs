//! WebFinger ([RFC 7033], [OpenID Connect Discovery §2]): where the people of a domain sign in. For domains
//! that the operator names, `GET /.well-known/webfinger?resource=acct:ada@example.com` leads to the issuer.
//!
//! Whether there is an Ada is not said: the answer is the same for every name of a domain. Writes nothing.
//!
//! [RFC 7033]: https://www.rfc-editor.org/rfc/rfc7033
//! [OpenID Connect Discovery §2]: https://openid.net/specs/openid-connect-discovery-1_0.html#IssuerDiscovery

use axum::Json;
use axum::extract::{RawQuery, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};
use url::Url;

use crate::config::Config;
use crate::http::app::App;
use crate::http::error::ApiError;
use crate::protocol::params::percent_decode;

/// The relation that asks for an OpenID Provider.
const ISSUER: &str = "http://openid.net/specs/connect/1.0/issuer";

/// `GET /.well-known/webfinger`.
pub async fn show(State(app): State<App>, RawQuery(query): RawQuery) -> Result<Response, ApiError> {
    let query = query.unwrap_or_default();
    // Missing or malformed is 400 (RFC 7033 §4.2); of several none is the one.
    let resources = values(&query, "resource")?;
    let [resource] = &resources[..] else {
        return Err(ApiError::invalid("one resource has to be named"));
    };
    let host = host(resource)
        .ok_or_else(|| ApiError::invalid("the resource is not acct:user@host or an https URL"))?;
    if !is_ours(&app.config, &host) {
        return Ok(StatusCode::NOT_FOUND.into_response());
    }
    let asked = values(&query, "rel")?;
    let wanted = asked.is_empty() || asked.iter().any(|rel| rel == ISSUER);
    let kind = [(header::CONTENT_TYPE, "application/jrd+json")];
    Ok((kind, Json(descriptor(resource, app.issuer(), wanted))).into_response())
}

/// All values of a parameter. A query is no form here: it is percent-encoded ([RFC 7033 §4.1]), and `+` is a plus.
///
/// [RFC 7033 §4.1]: https://www.rfc-editor.org/rfc/rfc7033#section-4.1
fn values(query: &str, name: &str) -> Result<Vec<String>, ApiError> {
    let decoded = |text: &str| percent_decode(text.replace('+', "%2B").as_bytes());
    let pairs = query.split('&').map(|pair| pair.split_once('=').unwrap_or((pair, "")));
    let wanted = pairs.filter(|(named, _)| decoded(named).is_ok_and(|named| named == name));
    let values: Result<_, _> = wanted.map(|(_, value)| decoded(value)).collect();
    values.map_err(|_| ApiError::invalid("a parameter is not valid percent-encoded UTF-8"))
}

/// The JSON Resource Descriptor. A `rel` that is not there takes away its links and nothing else
/// ([RFC 7033 §4.3](https://www.rfc-editor.org/rfc/rfc7033#section-4.3)).
fn descriptor(resource: &str, issuer: &str, wanted: bool) -> Value {
    let link = json!({ "rel": ISSUER, "href": issuer });
    json!({ "subject": resource, "links": if wanted { vec![link] } else { Vec::new() } })
}

/// The host, and the port if it is named, of whom the resource stands for.
fn host(resource: &str) -> Option<String> {
    let (scheme, rest) = resource.split_once(':')?;
    if scheme.eq_ignore_ascii_case("acct") {
        let (user, host) = rest.rsplit_once('@')?;
        let url = Url::parse(&format!("https://{host}")).ok()?;
        let bare = url.path() == "/" && url.query().is_none() && url.fragment().is_none();
        return (bare && !user.is_empty()).then(|| with_port(&url)).flatten();
    }
    let url = Url::parse(resource).ok()?;
    matches!(url.scheme(), "https" | "http").then(|| with_port(&url)).flatten()
}

fn with_port(url: &Url) -> Option<String> {
    let host = url.host_str()?;
    Some(url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}")))
}

fn is_ours(config: &Config, host: &str) -> bool {
    config.issuer.host() == host || config.webfinger_domains.iter().any(|domain| domain == host)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_resource_has_a_host_in_each_of_its_forms() {
        #[rustfmt::skip]
        let table = [
            ("acct:ada@example.com",                    Some("example.com")),
            ("ACCT:ada@Example.COM",                    Some("example.com")),
            ("acct:ada%40home.example@example.com",     Some("example.com")),
            ("acct:ada@home.example@example.com",       Some("example.com")),
            ("acct:ada@example.com:8443",               Some("example.com:8443")),
            ("https://example.com/ada",                 Some("example.com")),
            ("https://ada@example.com:443/?x#y",        Some("example.com")),
            ("http://localhost:5000",                   Some("localhost:5000")),
            ("acct:ada",                                None),
            ("acct:@example.com",                       None),
            ("acct:ada@",                               None),
            ("acct:ada@example.com/profile",            None),
            ("acct:ada@example.com?x",                  None),
            ("mailto:ada@example.com",                  None),
            ("example.com",                             None),
            ("https://",                                None),
            ("",                                        None),
        ];
        for (resource, expected) in table {
            assert_eq!(host(resource).as_deref(), expected, "{resource}");
        }
    }
}
