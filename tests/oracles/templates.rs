use std::sync::OnceLock;

use askama::Template;
use latchkey::endpoints::consent::page::{ConsentDuration, ConsentPage, scope_line};
use latchkey::endpoints::home::page::{DemoLogin, HomePage};
use latchkey::endpoints::login::page::{Alert, LoginPage};
use latchkey::endpoints::logout::page::{ConfirmPage, SignedOutPage};
use latchkey::http::parties::{ClientCard, ClientTrust, UserCard};
use latchkey::http::shared_pages::{ContinuePage, ErrorPage, FormPostPage, NextLink};
use latchkey::protocol::ClientMetadata;
use latchkey::protocol::redirect_uri::check_registrable;
use scraper::{Html, Node};
use serde_json::json;
use url::Url;

use super::{lines, text};

/// Whatever text stands in a page, a browser's parser sees the same elements with the same attributes as
/// with `x`, and in every address the scheme it had when it was registered. What was text stays text.
///
/// Lines: an address, and the text.
pub fn templates(data: &[u8]) {
    static PLAIN: OnceLock<Vec<Vec<String>>> = OnceLock::new();
    let [address, words] = lines(data).map(text);
    let address = [&*address, "https://shop.example/x"].into_iter().find(|it| is_link(it));
    let target = [lines::<2>(data)[0], b"com.example.app:/cb"].map(text);
    let target = target.iter().find(|it| check_registrable(it).is_ok());
    let (Some(address), Some(target)) = (address, target) else { return };
    // Long enough for anything that could be written in a page, and it stands in it many times.
    let words: String = words.chars().take(300).collect();
    if words.is_empty() {
        return;
    }
    let plain = PLAIN.get_or_init(|| {
        let pages = pages("x", "https://x.example/x", "https://x.example/x");
        pages.iter().map(|page| skeleton(&Html::parse_document(page))).collect()
    });
    for (shown, plain) in pages(&words, address, target).iter().zip(plain) {
        holds(shown, plain, &words, &[address, target]);
    }
}

/// What a client may register as an address of its own.
fn is_link(text: &str) -> bool {
    let members = json!({"redirect_uris": ["https://shop.example/cb"], "client_uri": text});
    ClientMetadata::parse(members.as_object().expect("an object"))
        .is_ok_and(|it| it.client_uri.is_some())
}

/// This page, which says `words`, is built as the plain one is.
pub fn holds(shown: &str, plain: &[String], words: &str, addresses: &[&str]) {
    let shown = Html::parse_document(shown);
    assert_eq!(skeleton(&shown), plain, "{words:?}");
    let schemes: Vec<String> =
        addresses.iter().filter_map(|it| Some(Url::parse(it).ok()?.scheme().to_owned())).collect();
    for node in shown.tree.root().descendants() {
        let Node::Element(element) = node.value() else { continue };
        for (name, value) in element.attrs() {
            if ["href", "src", "action"].contains(&name) && !value.starts_with('/') {
                let url = Url::parse(value).unwrap_or_else(|_| panic!("{value:?} leads nowhere"));
                assert!(schemes.iter().any(|it| it == url.scheme()), "{value:?} of {words:?}");
            }
        }
        if element.attr("id") == Some("username") {
            assert_eq!(element.attr("value"), Some(&*as_parsed(words)), "what was typed");
        }
    }
}

/// The elements of a page.
pub fn skeleton(page: &Html) -> Vec<String> {
    page.tree.root().descendants().filter_map(|node| bone(node.value())).collect()
}

/// An element with the names of its attributes, and how deep it does not matter: the order says that.
fn bone(node: &Node) -> Option<String> {
    match node {
        Node::Element(element) => {
            let mut names: Vec<&str> = element.attrs().map(|(name, _)| name).collect();
            names.sort_unstable();
            Some(format!("<{} {}>", element.name(), names.join(" ")))
        }
        Node::Comment(_) => Some("comment".to_owned()),
        Node::ProcessingInstruction(_) => Some("instruction".to_owned()),
        Node::Document | Node::Fragment | Node::Doctype(_) | Node::Text(_) => None,
    }
}

/// What the parser makes of line ends and of NUL (HTML §13.2.3.5, §13.2.5.36).
fn as_parsed(words: &str) -> String {
    words.replace("\r\n", "\n").replace('\r', "\n").replace('\0', "\u{fffd}")
}

/// Every page there is, with these words wherever there are any.
fn pages(it: &str, link: &str, target: &str) -> Vec<String> {
    let some = Some(it);
    let person = UserCard { name: it, username: some };
    let client =
        |logo, standing| ClientCard { name: it, logo, returns_to: it.to_owned(), standing };
    let alert = Some(Alert { words: "No.", is_about_input: true });
    let login = |current, again: Option<_>, alert| LoginPage {
        interaction: it,
        csrf: it,
        client: client(again.map(|_| link), ClientTrust::SelfRegistered),
        policy_uri: Some(link),
        tos_uri: Some(link),
        username: it,
        alert,
        current,
        again,
        cancel: true,
    };
    let consent = |other, standing| ConsentPage {
        interaction: it,
        csrf: it,
        client: client(Some(link), standing),
        policy_uri: Some(link),
        tos_uri: Some(link),
        person,
        other,
        scopes: vec![scope_line("scope", some), scope_line("other", Some(it))],
        claims: vec![it.to_owned()],
        resources: vec![scope_line("other", Some(it))],
        lasts: ConsentDuration::WhileSignedIn,
        asked_again: true,
    };
    let fields = [("code".to_owned(), it.to_owned()), (it.to_owned(), it.to_owned())];
    let frames = [link.to_owned()];
    let all = [
        login(Some(person), None, None).render(),
        login(None, Some(person), alert).render(),
        login(None, None, alert).render(),
        consent(Some(link), ClientTrust::Declared).render(),
        consent(None, ClientTrust::SelfRegisteredOnDevice).render(),
        ErrorPage {
            title: it,
            message: it,
            code: some,
            detail: some,
            request_id: it,
            next_link: Some(NextLink { href: target, label: it }),
        }
        .render(),
        FormPostPage { action: target, fields: &fields, nonce: it }.render(),
        ContinuePage { client_name: it, href: target }.render(),
        ConfirmPage {
            csrf: it,
            carried: &[("state", it), (it, it)],
            person: Some(person),
            client_name: some,
            stay: link,
            detail: some,
        }
        .render(),
        SignedOutPage {
            client_name: some,
            href: Some(target),
            frames: &frames,
            nonce: some,
            detail: some,
        }
        .render(),
        HomePage { issuer: it, discovery: link, version: it, trial: Some(DemoLogin { user: it }) }
            .render(),
    ];
    all.map(|page| page.expect("a page")).into()
}
