//! A browser without eyes: it follows redirects, keeps cookies, and fills in the form it needs.

use reqwest::header::{ACCEPT, COOKIE, SET_COOKIE};
use url::Url;

use super::forms::{Control, Form, forms};
use super::http::{Ask, Http};
use super::reply::Reply;
use super::report::{Not, fail, plain};
use super::request::Landing;
use super::trial::{Person, SIGNED_OUT};

/// Redirects in a row, and forms in a row, before it gives up.
const MOST_REDIRECTS: usize = 20;
const MOST_FORMS: usize = 8;

/// One browser, and who has signed in with it.
#[derive(Default)]
pub(super) struct Browser {
    cookies: Vec<Cookie>,
    /// The first page that asked for a password.
    pub login_page: Option<Reply>,
}

struct Cookie {
    /// Whom it is for, and whether only for exactly that host.
    host: String,
    exact: bool,
    name: String,
    value: String,
}

/// Where the browser stands still.
pub(super) enum Stop {
    Page(Reply),
    /// Back at the application.
    Landed(Landing),
    /// At the application's page for who has signed out.
    SignedOut(Url),
}

impl Browser {
    /// Goes there, and on to where it is sent.
    pub async fn go(&mut self, http: &Http, ask: Ask) -> Result<Stop, Not> {
        let mut reply = self.send(http, ask).await?;
        for _ in 0..MOST_REDIRECTS {
            let Some(to) = reply.location() else {
                return Ok(submitted(&reply).map_or_else(|| Stop::Page(reply), Stop::Landed));
            };
            if let Some(landing) = Landing::of(&to) {
                return Ok(Stop::Landed(landing));
            }
            if to.as_str().starts_with(SIGNED_OUT) {
                return Ok(Stop::SignedOut(to));
            }
            reply = self.send(http, Ask::get(&to)).await?;
        }
        Err(fail(format!("{} redirects without end", reply.what)))
    }

    /// Does what every page on the way asks for, until the application has its answer.
    pub async fn authorize(
        &mut self,
        http: &Http,
        url: &Url,
        person: &Person,
    ) -> Result<Landing, Not> {
        let mut stop = self.go(http, Ask::get(url)).await?;
        let mut tried = false;
        for _ in 0..MOST_FORMS {
            let page = match stop {
                Stop::Landed(landing) => return Ok(landing),
                Stop::SignedOut(_) => return Err(fail("it goes to the page for signing out")),
                Stop::Page(page) => page,
            };
            if page.status >= 400 {
                return Err(fail(format!("{} answered {}", page.what, page.status)));
            }
            let asks_password = password_form(&page).is_some();
            if asks_password && tried {
                return Err(fail("the user name or password is not accepted"));
            }
            tried |= asks_password;
            let ask = next_form(&page, person)?;
            if asks_password && self.login_page.is_none() {
                self.login_page = Some(page);
            }
            stop = self.go(http, ask).await?;
        }
        Err(fail("there is no end to the forms"))
    }

    async fn send(&mut self, http: &Http, ask: Ask) -> Result<Reply, Not> {
        let host = ask.url().host_str().unwrap_or_default().to_owned();
        let held = self.cookies.iter().filter(|cookie| cookie.is_for(&host));
        let line: Vec<String> =
            held.map(|cookie| format!("{}={}", cookie.name, cookie.value)).collect();
        let ask = if line.is_empty() { ask } else { ask.header(COOKIE, &line.join("; ")) };
        let reply = http.send(ask.header(ACCEPT, "text/html,*/*;q=0.8")).await?;
        for set in reply.headers.get_all(SET_COOKIE) {
            if let Some((cookie, kept)) = set.to_str().ok().and_then(|set| Cookie::read(set, &host))
            {
                self.cookies.retain(|it| (&it.host, &it.name) != (&cookie.host, &cookie.name));
                if kept {
                    self.cookies.push(cookie);
                }
            }
        }
        Ok(reply)
    }
}

impl Cookie {
    /// What is set, and whether it is to be kept or to be forgotten.
    fn read(text: &str, host: &str) -> Option<(Self, bool)> {
        let mut parts = text.split(';').map(str::trim);
        let (name, value) = parts.next()?.split_once('=')?;
        let (mut whom, mut exact, mut kept) = (host.to_owned(), true, true);
        for part in parts {
            let (attribute, said) = part.split_once('=').unwrap_or((part, ""));
            match &*attribute.to_ascii_lowercase() {
                "domain" => {
                    let domain = said.trim_start_matches('.').to_ascii_lowercase();
                    if domain.contains('.') && host.ends_with(&format!(".{domain}")) {
                        (whom, exact) = (domain, false);
                    }
                }
                "max-age" => kept = said.parse::<i64>().is_ok_and(|seconds| seconds > 0),
                // The date everybody uses to forget one.
                "expires" => kept &= !said.contains("1970"),
                _ => {}
            }
        }
        let (name, value) = (name.trim().to_owned(), value.to_owned());
        (!name.is_empty()).then_some((Self { host: whom, exact, name, value }, kept))
    }

    fn is_for(&self, host: &str) -> bool {
        host == self.host || (!self.exact && host.ends_with(&format!(".{}", self.host)))
    }
}

/// The form of this page that asks for a password.
pub(super) fn password_form(page: &Reply) -> Option<Form> {
    forms(&page.text()).into_iter().find(|form| form.password().is_some())
}

/// An answer to the application in a form that a script would send off.
fn submitted(page: &Reply) -> Option<Landing> {
    let form = forms(&page.text()).into_iter().find(|form| {
        let to = page.url.join(&form.action).ok();
        to.as_ref().and_then(Landing::of).is_some()
    })?;
    let params = form.controls.iter().filter(|it| it.is_sent());
    let params = params.map(|it| (it.name.clone(), it.value.clone())).collect();
    Some(Landing { params, by_form: true })
}

/// Signs in, or agrees: whichever the page is for.
fn next_form(page: &Reply, person: &Person) -> Result<Ask, Not> {
    let found = forms(&page.text());
    if let Some(form) = found.iter().find(|form| form.password().is_some()) {
        let username = form.username().map(|it| (it.name.clone(), person.username.clone()));
        let password = form.password().map(|it| (it.name.clone(), person.password.to_string()));
        let typed: Vec<_> = username.into_iter().chain(password).collect();
        let button = form.controls.iter().find(|it| it.is_button());
        return fill_in(page, form, &typed, button);
    }
    let asks_name = |form: &&Form| form.post && form.controls.iter().any(Control::is_text);
    if let Some(form) = found.iter().find(asks_name) {
        let typed: Vec<_> = form
            .username()
            .map(|it| (it.name.clone(), person.username.clone()))
            .into_iter()
            .collect();
        return fill_in(page, form, &typed, form.controls.iter().find(|it| it.is_button()));
    }
    agree(page)
}

/// Presses the button that agrees.
pub(super) fn agree(page: &Reply) -> Result<Ask, Not> {
    let found = forms(&page.text());
    let form = found.iter().find(|form| form.post && form.agreement().is_some());
    let form = form.ok_or_else(|| {
        fail(format!("{} shows a page without a form to go on with", plain(&page.what)))
    })?;
    fill_in(page, form, &[], form.agreement())
}

fn fill_in(
    page: &Reply,
    form: &Form,
    typed: &[(String, String)],
    button: Option<&Control>,
) -> Result<Ask, Not> {
    let to = page.url.join(&form.action).map_err(|_| fail("a form has no address"))?;
    let is_typed = |name: &str| typed.iter().any(|(other, _)| other == name);
    let held = form.controls.iter().filter(|it| it.is_sent() && !is_typed(&it.name));
    let mut fields: Vec<(&str, &str)> = held.map(|it| (&*it.name, &*it.value)).collect();
    fields.extend(typed.iter().map(|(name, value)| (&**name, &**value)));
    fields.extend(button.filter(|it| !it.name.is_empty()).map(|it| (&*it.name, &*it.value)));
    if form.post {
        return Ok(Ask::form(&to, &fields));
    }
    let mut to = to;
    to.query_pairs_mut().clear().extend_pairs(fields);
    Ok(Ask::get(&to))
}
