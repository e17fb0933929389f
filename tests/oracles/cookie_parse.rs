use std::time::Duration;

use axum::http::{HeaderMap, HeaderValue, header};
use latchkey::domain::sessions::SessionId;
use latchkey::http::app::App;
use latchkey::http::cookies::{Cookies, set_interaction, set_session};
use latchkey::infra::secret::{Secret, base64url};

use super::in_process_server::InProcessServer;
use super::{edited, lines, reference_parsers, text};

/// A cookie counts if it stands there once and is a secret as we write them; what a slow reader of
/// [RFC 6265 §4.2.1] finds in the headers is what is found. A cookie we set is read again, and changed by a
/// bit it is another or none.
///
/// Lines: an [edit](super::edited) of our own cookie, a `Cookie` header, and another.
///
/// [RFC 6265 §4.2.1]: https://www.rfc-editor.org/rfc/rfc6265#section-4.2.1
pub fn cookie_parse(data: &[u8]) {
    holds(data, Cookies::read);
}

pub fn holds(data: &[u8], read: impl Fn(&App, &HeaderMap) -> Cookies) {
    let [how, one, other] = lines(data);
    InProcessServer::with(|server| {
        let app = server.app();
        let secret = Secret::parse(&base64url(&[9; 32])).expect("32 bytes");
        let sent = |set: HeaderValue| text(set.as_bytes()).split(';').next().map(str::to_owned);
        let id = Secret::parse(&base64url(&[7; 32])).expect("32 bytes");
        let pairs = [set_session(app, &secret), set_interaction(app, &id, &secret, LIFETIME)]
            .map(|it| sent(it).unwrap_or_default());
        let found = read(app, &headers(&[pairs.join("; ").as_bytes()]));
        assert_eq!(found.session(), Some(SessionId::of(&secret)));
        let own: Vec<_> = found.of_interaction(&id).map(Secret::reveal).collect();
        assert_eq!(own, [secret.reveal()]);
        let another = Secret::parse(&base64url(&[8; 32])).expect("32 bytes");
        assert_eq!(found.of_interaction(&another).count(), 0);

        let changed = edited(pairs[0].as_bytes(), how);
        if changed != pairs[0].as_bytes() {
            let found = read(app, &headers(&[&changed])).session();
            let whole = changed.strip_suffix(b";").unwrap_or(&changed).trim_ascii();
            let same = whole == pairs[0].as_bytes();
            assert!(
                found != Some(SessionId::of(&secret)) || same || is_beside(&changed, &pairs[0])
            );
        }
        let lines = headers(&[one, other]);
        let found = read(app, &lines);
        let expected = |name: &str| slowly(&lines, name).and_then(|it| Secret::parse(&it));
        let session = expected("latchkey-dev-5000-session");
        assert_eq!(found.session(), session.as_ref().map(SessionId::of), "{lines:?}");
        let end = &pairs[1][..pairs[1].find('=').expect("a pair")];
        let opening: Vec<_> = [expected(end), expected("latchkey-dev-5000-browser")]
            .into_iter()
            .flatten()
            .map(|it| it.reveal())
            .collect();
        let own: Vec<_> = found.of_interaction(&id).map(Secret::reveal).collect();
        assert_eq!(own, opening, "{lines:?}");
    });
}

const LIFETIME: Duration = Duration::from_secs(600);

/// Whether the unchanged pair still stands in there, beside something else.
fn is_beside(changed: &[u8], pair: &str) -> bool {
    changed.split(|byte| *byte == b';').any(|it| it.trim_ascii() == pair.as_bytes())
}

fn headers(lines: &[&[u8]]) -> HeaderMap {
    let values = lines.iter().filter_map(|line| HeaderValue::from_bytes(line).ok());
    values.map(|value| (header::COOKIE, value)).collect()
}

fn slowly(lines: &HeaderMap, name: &str) -> Option<String> {
    let mut found = Vec::new();
    for line in lines.get_all(header::COOKIE) {
        for pair in line.as_bytes().split(|it| *it == b';') {
            let Ok(pair) = std::str::from_utf8(pair) else { continue };
            let pair = pair.trim();
            let Some(at) = pair.find('=') else { continue };
            if &pair[..at] == name {
                found.push(pair[at + 1..].to_owned());
            }
        }
    }
    let [only] = &found[..] else { return None };
    let bytes = reference_parsers::base64url(only.as_bytes())?;
    (bytes.len() == 32).then(|| only.clone())
}
