//! A browser without display: it follows redirects, keeps cookies and fills in forms.

use reqwest::header::{ACCEPT, COOKIE, SET_COOKIE};
use url::Url;

use super::authorization_request::RedirectResponse;
use super::client::{SIGNED_OUT, TestUser};
use super::html_forms::{Form, FormControl, forms};
use super::http::{Http, HttpRequest};
use super::http_response::HttpResponse;
use super::report::{CheckFailure, fail, printable};

/// Redirects in a row, and forms in a row, before it gives up.
const MAX_REDIRECTS: usize = 20;
const MAX_FORMS: usize = 8;

/// A browser session.
#[derive(Default)]
pub(super) struct Browser {
    cookies: Vec<Cookie>,
    /// The first page that asked for a password.
    pub login_page: Option<HttpResponse>,
}

struct Cookie {
    /// Whom it is for, and whether only for exactly that host.
    host: String,
    exact: bool,
    name: String,
    value: String,
}

/// Where a navigation ended.
pub(super) enum BrowserOutcome {
    Page(HttpResponse),
    /// Back at the application.
    Landed(RedirectResponse),
    /// At the application's page for who has signed out.
    SignedOut(Url),
}

impl Browser {
    /// Goes there, and on to where it is sent.
    pub async fn go(
        &mut self,
        http: &Http,
        ask: HttpRequest,
    ) -> Result<BrowserOutcome, CheckFailure> {
        let mut response = self.send(http, ask).await?;
        for _ in 0..MAX_REDIRECTS {
            let Some(to) = response.location() else {
                return Ok(submitted(&response)
                    .map_or_else(|| BrowserOutcome::Page(response), BrowserOutcome::Landed));
            };
            if let Some(redirect) = RedirectResponse::of(&to) {
                return Ok(BrowserOutcome::Landed(redirect));
            }
            if to.as_str().starts_with(SIGNED_OUT) {
                return Ok(BrowserOutcome::SignedOut(to));
            }
            response = self.send(http, HttpRequest::get(&to)).await?;
        }
        Err(fail(format!("{} redirects without end", response.what)))
    }

    /// Does what every page on the way asks for, until the application has its answer.
    pub async fn authorize(
        &mut self,
        http: &Http,
        url: &Url,
        user: &TestUser,
    ) -> Result<RedirectResponse, CheckFailure> {
        let mut stop = self.go(http, HttpRequest::get(url)).await?;
        let mut tried = false;
        for _ in 0..MAX_FORMS {
            let page = match stop {
                BrowserOutcome::Landed(redirect) => return Ok(redirect),
                BrowserOutcome::SignedOut(_) => {
                    return Err(fail("it goes to the page for signing out"));
                }
                BrowserOutcome::Page(page) => page,
            };
            if page.status >= 400 {
                return Err(fail(format!("{} answered {}", page.what, page.status)));
            }
            let asks_password = password_form(&page).is_some();
            if asks_password && tried {
                return Err(fail("the user name or password is not accepted"));
            }
            tried |= asks_password;
            let ask = next_form(&page, user)?;
            if asks_password && self.login_page.is_none() {
                self.login_page = Some(page);
            }
            stop = self.go(http, ask).await?;
        }
        Err(fail("there is no end to the forms"))
    }

    async fn send(&mut self, http: &Http, ask: HttpRequest) -> Result<HttpResponse, CheckFailure> {
        let host = ask.url().host_str().unwrap_or_default().to_owned();
        let held = self.cookies.iter().filter(|cookie| cookie.is_for(&host));
        let line: Vec<String> =
            held.map(|cookie| format!("{}={}", cookie.name, cookie.value)).collect();
        let ask = if line.is_empty() { ask } else { ask.header(COOKIE, &line.join("; ")) };
        let response = http.send(ask.header(ACCEPT, "text/html,*/*;q=0.8")).await?;
        for set in response.headers.get_all(SET_COOKIE) {
            if let Some((cookie, kept)) = set.to_str().ok().and_then(|set| Cookie::read(set, &host))
            {
                self.cookies.retain(|it| (&it.host, &it.name) != (&cookie.host, &cookie.name));
                if kept {
                    self.cookies.push(cookie);
                }
            }
        }
        Ok(response)
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
pub(super) fn password_form(page: &HttpResponse) -> Option<Form> {
    forms(&page.text()).into_iter().find(|form| form.password().is_some())
}

/// An answer to the application in a form that a script would send off.
fn submitted(page: &HttpResponse) -> Option<RedirectResponse> {
    let form = forms(&page.text()).into_iter().find(|form| {
        let to = page.url.join(&form.action).ok();
        to.as_ref().and_then(RedirectResponse::of).is_some()
    })?;
    let params = form.controls.iter().filter(|it| it.is_sent());
    let params = params.map(|it| (it.name.clone(), it.value.clone())).collect();
    Some(RedirectResponse { params, by_form: true })
}

/// Signs in, or agrees: whichever the page is for.
fn next_form(page: &HttpResponse, user: &TestUser) -> Result<HttpRequest, CheckFailure> {
    let found = forms(&page.text());
    if let Some(form) = found.iter().find(|form| form.password().is_some()) {
        let username = form.username().map(|it| (it.name.clone(), user.username.clone()));
        let password = form.password().map(|it| (it.name.clone(), user.password.to_string()));
        let typed: Vec<_> = username.into_iter().chain(password).collect();
        let button = form.controls.iter().find(|it| it.is_button());
        return fill_in(page, form, &typed, button);
    }
    let asks_name = |form: &&Form| form.post && form.controls.iter().any(FormControl::is_text);
    if let Some(form) = found.iter().find(asks_name) {
        let typed: Vec<_> = form
            .username()
            .map(|it| (it.name.clone(), user.username.clone()))
            .into_iter()
            .collect();
        return fill_in(page, form, &typed, form.controls.iter().find(|it| it.is_button()));
    }
    agree(page)
}

/// Presses the button that agrees.
pub(super) fn agree(page: &HttpResponse) -> Result<HttpRequest, CheckFailure> {
    let found = forms(&page.text());
    let form = found.iter().find(|form| form.post && form.agreement().is_some());
    let form = form.ok_or_else(|| {
        fail(format!("{} shows a page without a form to go on with", printable(&page.what)))
    })?;
    fill_in(page, form, &[], form.agreement())
}

fn fill_in(
    page: &HttpResponse,
    form: &Form,
    typed: &[(String, String)],
    button: Option<&FormControl>,
) -> Result<HttpRequest, CheckFailure> {
    let to = page.url.join(&form.action).map_err(|_| fail("a form has no address"))?;
    let is_typed = |name: &str| typed.iter().any(|(other, _)| other == name);
    let held = form.controls.iter().filter(|it| it.is_sent() && !is_typed(&it.name));
    let mut fields: Vec<(&str, &str)> = held.map(|it| (&*it.name, &*it.value)).collect();
    fields.extend(typed.iter().map(|(name, value)| (&**name, &**value)));
    fields.extend(button.filter(|it| !it.name.is_empty()).map(|it| (&*it.name, &*it.value)));
    if form.post {
        return Ok(HttpRequest::form(&to, &fields));
    }
    let mut to = to;
    to.query_pairs_mut().clear().extend_pairs(fields);
    Ok(HttpRequest::get(&to))
}
