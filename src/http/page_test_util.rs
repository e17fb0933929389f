//! What every page is held to, for the tests beside the pages.

use std::collections::BTreeSet;

use askama::Template;
use scraper::{Html, Selector};

/// Put into every field of a page: an element, a way out of an attribute of either quote, and an entity.
pub(crate) const MARKUP: &str = "<img src=x onerror=alert(1)>\"' onfocus=alert(1) x=&lt;script>";

/// The limit keeps pages light for phones on slow networks.
const MAX_PAGE_BYTES: usize = 15_000;

/// Renders a page, and checks its size and its markup against the policy that it is served under.
///
/// With `LATCHKEY_PAGES_OUT` set the page is also written there, to be looked at and to be walked by
/// `tests/pages/check.mjs`.
pub(crate) fn rendered(name: &str, template: &impl Template) -> String {
    let html = template.render().expect("the page renders");
    assert!(html.len() < MAX_PAGE_BYTES, "{name} weighs {} bytes", html.len());
    let document = Html::parse_document(&html);
    for element in document.select(&all("*")).map(|found| found.value()) {
        assert!(element.name() != "style", "{name} has an inline style sheet");
        let nonced = element.attr("nonce").is_some();
        assert!(element.name() != "script" || nonced, "{name} has a script without a nonce");
        for (attribute, _) in element.attrs() {
            let inline = attribute == "style" || attribute.starts_with("on");
            assert!(!inline, "{name} has an inline {attribute}");
        }
    }
    check_markup(name, &document);
    if let Some(folder) = std::env::var_os("LATCHKEY_PAGES_OUT") {
        std::fs::write(std::path::Path::new(&folder).join(format!("{name}.html")), &html)
            .expect("LATCHKEY_PAGES_OUT is a folder that can be written to");
    }
    html
}

/// Checks what screen readers and browser tabs need of every page.
fn check_markup(name: &str, document: &Html) {
    let one = |selector: &str| document.select(&all(selector)).count();
    assert_eq!((one("title"), one("h1"), one("main")), (1, 1, 1), "{name}");
    let title = document.select(&all("title")).next().map(|it| it.text().collect::<String>());
    let title = title.unwrap_or_default();
    assert!(title.ends_with(" · Latchkey") && title.len() > " · Latchkey".len(), "{name}: {title}");
    let ids: Vec<&str> =
        document.select(&all("[id]")).filter_map(|it| it.value().attr("id")).collect();
    assert_eq!(ids.iter().collect::<BTreeSet<_>>().len(), ids.len(), "{name} repeats an id");
    for attribute in ["aria-describedby", "aria-labelledby", "for"] {
        for element in document.select(&all(&format!("[{attribute}]"))) {
            let named = element.value().attr(attribute).unwrap_or_default();
            assert!(ids.contains(&named), "{name}: {attribute} names nothing: {named}");
        }
    }
    assert!(one(".notice") <= 1, "{name} has a notice too many");
    for image in document.select(&all("img")).map(|it| it.value()) {
        // One that does not load gives way to the letter behind it, if it has no words of its own.
        assert_eq!(image.attr("alt"), Some(""), "{name}");
    }
    assert_eq!(one(".badge img"), one("img"), "{name} has an image with nothing behind it");
    for link in document.select(&all("a[target=_blank]")) {
        assert!(link.value().attr("rel").is_some_and(|it| it.contains("noopener")), "{name}");
    }
}

/// Names that others chose stand in a `bdi` each, wherever they are part of a text: their direction ends with
/// them. A title is plain text.
pub(crate) fn assert_isolated(html: &str, names: &[&str]) {
    let document = Html::parse_document(html);
    let isolated = |name: &str| {
        document.select(&all("bdi")).any(|it| it.text().collect::<String>().trim() == name)
    };
    for name in names {
        assert!(isolated(name), "{name} is not isolated");
    }
    for element in document.select(&all("body *:not(bdi)")) {
        let own = element.children().filter_map(|it| it.value().as_text().map(|it| it.trim()));
        for text in own {
            let bare = names
                .iter()
                .find(|name| text == **name || (name.len() > 4 && text.contains(**name)));
            assert_eq!(bare, None, "in {}", element.html());
        }
    }
}

/// Markup in the fields of a page must change its text only, never its elements or attributes.
pub(crate) fn assert_same_skeleton(benign: &impl Template, hostile: &impl Template) {
    let hostile = hostile.render().expect("the page renders");
    assert!(hostile.contains("onerror"), "the markup is shown, as text");
    assert_eq!(skeleton(&benign.render().expect("the page renders")), skeleton(&hostile));
}

/// Whether the page has exactly one element for each selector.
pub(crate) fn assert_has(html: &str, selectors: &[&str]) {
    let document = Html::parse_document(html);
    for selector in selectors {
        assert_eq!(document.select(&all(selector)).count(), 1, "{selector} in {html}");
    }
}

/// The words of the one element that `selector` finds.
pub(crate) fn words(html: &str, selector: &str) -> String {
    let document = Html::parse_document(html);
    let found = document.select(&all(selector)).next().expect("the element is there");
    found.text().collect::<Vec<_>>().join(" ").split_whitespace().collect::<Vec<_>>().join(" ")
}

fn skeleton(html: &str) -> Vec<(String, BTreeSet<String>)> {
    let document = Html::parse_document(html);
    let every = all("*");
    let elements = document.select(&every).map(|found| found.value());
    elements
        .map(|element| {
            let attributes = element.attrs().map(|(name, _)| name.to_owned()).collect();
            (element.name().to_owned(), attributes)
        })
        .collect()
}

fn all(selector: &str) -> Selector {
    Selector::parse(selector).expect("a well-formed selector")
}
