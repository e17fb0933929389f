use latchkey::domain::clients::Client;
use latchkey::domain::grants;
use latchkey::infra::secret::Secret;
use scraper::{Html, Selector};

use super::in_process_server::{self, Answer, ISSUER, InProcessServer, cookie, subject};
use super::reference_parsers::Uri;
use super::{lines, text};

/// Whatever an authorization request says, the browser is only ever sent to a page of ours or to a redirect
/// URI that this client registered ([RFC 9700 §4.11]); whoever is told of an error got no code, and nobody
/// who is not signed in gets anything. Through the whole router.
///
/// Lines: letters (`s` signed in, `p` by form, `h` by a browser that was here before), and the query.
///
/// [RFC 9700 §4.11]: https://www.rfc-editor.org/rfc/rfc9700#section-4.11
pub fn authz_request(data: &[u8]) {
    let [letters, query] = lines(data);
    let has = |letter| letters.contains(&letter);
    let session = format!("latchkey-dev-5000-session={}", cookie().reveal());
    let browser = format!("latchkey-dev-5000-browser={}", Secret::random().reveal());
    let cookies: Vec<&str> = [(has(b's'), &*session), (has(b'h'), &*browser)]
        .into_iter()
        .filter_map(|(held, cookie)| held.then_some(cookie))
        .collect();
    let cookies = cookies.join("; ");
    InProcessServer::with(|server| {
        let store = &*server.app().store;
        let count =
            || server.waits(grants::list_for_subject(store, &subject())).expect("a store").len();
        let before = count();
        let form = ("content-type", "application/x-www-form-urlencoded");
        let answer = if has(b'p') {
            server.asks("POST", "/authorize", &[("cookie", &cookies), form], query)
        } else {
            let to = format!("/authorize?{}", text(query));
            server.asks("GET", &to, &[("cookie", &cookies)], b"")
        };
        holds(query, has(b's'), &answer, count() - before);
    });
}

/// What may be said to this request, with so many grants more than before it.
pub fn holds(query: &[u8], signed_in: bool, answer: &Answer, issued: usize) {
    let known = [200, 303, 400, 403, 405, 413, 414, 431, 503];
    assert!(known.contains(&answer.status), "{answer:?}");
    assert!(issued <= 1, "{issued} grants by one request");
    assert!(issued == 0 || signed_in, "nobody is here, and somebody's grant is issued");
    let client = named(query);
    let Some((to, fields)) = leads_to(answer) else {
        assert_eq!(issued, 0, "a grant that nobody is told of: {answer:?}");
        return;
    };
    if is_page_of_ours(&to) {
        assert_eq!(issued, 0, "a grant on the way to a page");
        return;
    }
    let client = client.unwrap_or_else(|| panic!("of no client, and sent to {to}"));
    assert!(client.enabled, "{to} for a client that is disabled");
    assert!(belongs(&to, &client), "{to} is not of {:?}", client.id);
    let said = |name: &str| fields.iter().any(|(key, _)| key == name);
    let got = ["code", "access_token", "id_token"].into_iter().any(said);
    assert!(!(said("error") && (issued > 0 || got)), "an error, and {issued} grants: {fields:?}");
    assert_eq!(got, issued > 0, "{fields:?}");
    assert!(said("iss"), "whose answer it is: {fields:?}");
}

/// Where the browser goes next, by itself or by a button, and what it takes along.
fn leads_to(answer: &Answer) -> Option<(String, Vec<(String, String)>)> {
    if let Some(location) = &answer.location {
        return Some(with_fields(location));
    }
    let html = Html::parse_document(&answer.body);
    let all = |selector: &str, name: &str| -> Vec<String> {
        let selector = Selector::parse(selector).expect("a selector");
        html.select(&selector).filter_map(|it| it.attr(name)).map(str::to_owned).collect()
    };
    if let Some(action) = all("form", "action").pop() {
        let names = all("input[type=hidden]", "name");
        let fields = names.into_iter().zip(all("input[type=hidden]", "value")).collect();
        return Some((action, fields));
    }
    all("a#continue", "href").first().map(|href| with_fields(href))
}

fn with_fields(target: &str) -> (String, Vec<(String, String)>) {
    let uri = Uri::split(target);
    let said = [uri.query, uri.fragment].into_iter().flatten();
    let fields = said.flat_map(|it| url::form_urlencoded::parse(it.as_bytes()).into_owned());
    (target.to_owned(), fields.collect())
}

fn is_page_of_ours(to: &str) -> bool {
    let own = to.strip_prefix(ISSUER).unwrap_or(to);
    ["/login?interaction=", "/consent?interaction=", "/authorize?"]
        .iter()
        .any(|page| own.starts_with(page))
}

/// The client the request is about, by another reader of forms.
fn named(query: &[u8]) -> Option<Client> {
    let mut ids = url::form_urlencoded::parse(query).filter(|(name, _)| name == "client_id");
    let (_, id) = ids.next()?;
    let known = ["shop", "app", "desk", "signer", "gone"].contains(&&*id);
    (known && ids.all(|(_, again)| again == id)).then(|| in_process_server::client(&id))
}

/// It begins with a registered URI, and what follows could not make another place of it.
fn belongs(to: &str, client: &Client) -> bool {
    let begins = |to: &str, uri: &str| {
        to.strip_prefix(uri).is_some_and(|rest| {
            rest.is_empty() || rest.starts_with(['?', '&', '#']) || uri.ends_with(['?', '&'])
        })
    };
    let same_but_for_the_port = |uri: &str| {
        let (ours, theirs) = (Uri::split(uri), Uri::split(to));
        let place = |it: &Uri<'_>| {
            it.host.filter(|_| it.is_loopback() && it.user.is_none()).map(str::to_owned)
        };
        let portless = |text: &str, it: &Uri<'_>| match it.port {
            Some(port) => text.replacen(&format!(":{port}"), "", usize::from(!port.is_empty())),
            None => text.to_owned(),
        };
        ours.scheme == Some("http")
            && theirs.scheme == Some("http")
            && place(&ours).is_some()
            && place(&ours) == place(&theirs)
            && begins(&portless(to, &theirs), &portless(uri, &ours))
    };
    client.metadata.redirect_uris.iter().any(|uri| begins(to, uri) || same_but_for_the_port(uri))
}
