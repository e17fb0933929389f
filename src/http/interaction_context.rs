//! An interaction with all that its pages need, loaded and checked once for each request.

use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::Response;
use uuid::Uuid;

use super::authorization_response::see_other;
use super::cookies::{self, Cookies};
use super::page_error::PageError;
use super::pages::{FormTargets, PagePolicy};
use super::request_info::RequestInfo;
use super::stop_page;
use crate::domain::clients::{self, Client};
use crate::domain::consent::{self, Consent};
use crate::domain::epoch::{self, Epoch, EpochOwner};
use crate::domain::grants::OpaqueToken;
use crate::domain::interactions::{
    self, DecisionInput, GivenConsent, Interaction, NextStep, Step, StopReason, decide,
};
use crate::domain::sessions::{self, Session};
use crate::domain::users::{self, User};
use crate::http::app::App;
use crate::infra::secret::Secret;
use crate::infra::store::{Consistency, StoreError};
use crate::protocol::Subject;

/// The session of this browser, and its user's consent to a client.
pub struct BrowserSession {
    /// A live session of an enabled user.
    pub session: Option<(Session, User)>,
    /// The user's consent to the client.
    pub consent: Option<Consent>,
    /// The epoch of that consent, read before the consent: a withdrawal in between revokes what is granted.
    pub consent_epoch: Epoch,
}

impl BrowserSession {
    /// Loads both, and extends the idle end of the session.
    pub async fn find(app: &App, cookies: &Cookies, client: &Client) -> Result<Self, StoreError> {
        let nobody = Self { session: None, consent: None, consent_epoch: Epoch::default() };
        let Some(id) = cookies.session() else { return Ok(nobody) };
        let Some(session) = sessions::find(&*app.store, id, app.now()).await? else {
            return Ok(nobody);
        };
        let user = users::find(&*app.store, &session.sub).await?.filter(|user| user.enabled);
        let Some(user) = user else { return Ok(nobody) };
        sessions::touch(&*app.store, &session, app.session_lifetimes().idle, app.now()).await?;
        let owner = EpochOwner::Consent { sub: session.sub.clone(), client: client.id.clone() };
        let consent_epoch = epoch::current(&*app.store, &owner, Consistency::Strong).await?;
        let consent = consent::find(&*app.store, &session.sub, &client.id).await?;
        Ok(Self { session: Some((session, user)), consent, consent_epoch })
    }
}

/// An interaction, as the browser of this request sees it.
pub struct InteractionContext {
    /// As it is in the URL.
    pub id: Secret,
    /// The interaction's cookie; absent if the browser did not send it.
    cookie: Option<Secret>,
    pub interaction: Interaction,
    pub client: Client,
    pub browser_session: BrowserSession,
}

impl InteractionContext {
    /// Loads the interaction `id`. Whether it can continue, and in this browser, [`next_step`](Self::next_step)
    /// says.
    pub async fn load(
        app: &App,
        caller: &RequestInfo,
        cookies: &Cookies,
        id: &str,
    ) -> Result<Self, PageError> {
        let store_error = |cause: StoreError| PageError::unavailable(&caller.request_id, &cause);
        let unknown = || stop_page::unknown_interaction(caller);
        let id = Secret::parse(id).ok_or_else(unknown)?;
        let found = interactions::find(&*app.store, &id).await.map_err(store_error)?;
        let mut interaction = found.ok_or_else(unknown)?;
        let client = clients::find(&*app.store, &interaction.request.client).await;
        let client = client.map_err(store_error)?.filter(|client| client.enabled);
        let client = client.filter(|client| interaction.request.reply.is_allowed_for(client));
        let client = client.ok_or_else(unknown)?;
        // What the client may no longer have is no longer asked for.
        let scope = interaction.request.scope.intersection(&app.max_scope(&client));
        if scope.is_empty() {
            return Err(unknown());
        }
        interaction.request.scope = scope;
        let resources = app.resources();
        if !interaction
            .request
            .resources
            .iter()
            .all(|it| resources.is_open(app.issuer(), &client, it))
        {
            return Err(unknown());
        }
        let catalogue = app.catalogue();
        let claims = catalogue.claims_for(&client.max_scope());
        interaction.request.claims = interaction.request.claims.restricted_to(&claims);
        let cookie = cookies.of_interaction(&id).find(|it| interaction.verify_cookie(it)).cloned();
        let browser_session =
            BrowserSession::find(app, cookies, &client).await.map_err(store_error)?;
        // A consent that was withdrawn since does not count.
        let stands = |agreed: &GivenConsent| agreed.consent_epoch >= browser_session.consent_epoch;
        interaction.given_consent = interaction.given_consent.filter(stands);
        Ok(Self { id, cookie, interaction, client, browser_session })
    }

    /// What to do now.
    pub fn next_step(&self, app: &App) -> NextStep {
        self.decide(app, Some(&self.interaction))
    }

    /// What to do if the same request came now, without an interaction.
    pub fn next_step_if_new(&self, app: &App) -> NextStep {
        self.decide(app, None)
    }

    fn decide(&self, app: &App, interaction: Option<&Interaction>) -> NextStep {
        let session = self.browser_session.session.as_ref().map(|(session, _)| session);
        let client_subject = session.map(|session| app.subject_for(&self.client, &session.sub));
        let input = DecisionInput {
            request: &self.interaction.request,
            client: &self.client,
            session,
            client_subject: client_subject.as_ref(),
            consent: self.browser_session.consent.as_ref(),
            interaction,
            has_cookie: self.cookie.is_some(),
        };
        decide(input, app.now())
    }

    /// Redirects from a page whose step is not the next one. A finished interaction is not answered again for a
    /// page that is reloaded, only for a form.
    pub fn redirect_onward(
        &self,
        caller: &RequestInfo,
        app: &App,
        next: NextStep,
    ) -> Result<Response, PageError> {
        match next {
            NextStep::Ask(step) => Ok(see_other(&self.step_path(step))),
            NextStep::Issue | NextStep::Refuse(_) if self.interaction.finished => {
                Err(stop_page::explain(app, caller, self, StopReason::Finished))
            }
            NextStep::Issue | NextStep::Refuse(_) => Ok(see_other(&self.dispatch_path())),
            NextStep::Stop(stop) => Err(stop_page::explain(app, caller, self, stop)),
        }
    }

    /// Refuses a form that was not sent from our own page in this browser, by its CSRF token and by the headers that
    /// say where it came from, or that comes too late.
    pub fn check_form(
        &self,
        app: &App,
        caller: &RequestInfo,
        headers: &HeaderMap,
        form: &str,
        token: Option<&str>,
    ) -> Result<(), PageError> {
        if let NextStep::Stop(stop @ (StopReason::Foreign | StopReason::Expired)) =
            self.next_step(app)
        {
            return Err(stop_page::explain(app, caller, self, stop));
        }
        let fits = self.verify_csrf(app, form, token);
        if fits && is_same_origin(app, headers) {
            return Ok(());
        }
        // A finished interaction says so to any form: there is nothing that a form could do.
        if self.interaction.finished && !fits {
            return Err(stop_page::explain(app, caller, self, StopReason::Finished));
        }
        Err(PageError::foreign_form(&caller.request_id))
    }

    /// The CSRF token for a form of this interaction.
    pub fn csrf_token(&self, app: &App, form: &str) -> String {
        let cookie = self.cookie.as_ref();
        let token = |it| interactions::csrf_token(&app.csrf_key, &self.id, it, form);
        cookie.map(token).unwrap_or_default()
    }

    /// Whether the token is that of [`csrf_token`](Self::csrf_token) for the form.
    pub fn verify_csrf(&self, app: &App, form: &str, token: Option<&str>) -> bool {
        let token = token.unwrap_or_default();
        let fits =
            |cookie| interactions::verify_csrf_token(&app.csrf_key, &self.id, cookie, form, token);
        self.cookie.as_ref().is_some_and(fits)
    }

    /// The name (`sid`) of the session in which this user signs in here.
    pub fn session_sid(&self, app: &App, sub: &Subject) -> Uuid {
        interactions::session_sid(&app.interaction_key, &self.id, sub)
    }

    /// The authorization code of this interaction in this session.
    pub fn authorization_code(&self, app: &App, session: &Session) -> OpaqueToken {
        interactions::authorization_code(&app.interaction_key, &self.id, session.sid)
    }

    /// The `Set-Cookie` line that shortens its cookie to `REPEAT_WINDOW`, in which the response can be repeated.
    pub fn shorten_cookie(&self, app: &App) -> Option<HeaderValue> {
        let keep = interactions::REPEAT_WINDOW;
        self.cookie.as_ref().map(|it| cookies::set_interaction(app, &self.id, it, keep))
    }

    /// What the pages of this interaction may do beyond the default: redirect to the client after a form, and from
    /// there anywhere; and show the client's logo.
    pub fn page_policy(&self, app: &App) -> PagePolicy {
        let logo = app.logo_uri(&self.client, self.interaction.request.reply.redirect_uri());
        PagePolicy {
            form_targets: FormTargets::Anywhere,
            images: logo.and_then(super::pages::csp_source).into_iter().collect(),
            ..PagePolicy::default()
        }
    }

    /// The path back to `/authorize`, which decides what comes next.
    pub fn dispatch_path(&self) -> String {
        format!("/authorize?interaction={}", self.id.reveal())
    }

    /// The login page, to sign in as another user than that of the session.
    pub fn switch_account_path(&self) -> String {
        format!("{}&other=1", self.step_path(Step::Login))
    }

    /// The page of a step.
    pub fn step_path(&self, step: Step) -> String {
        format!("{}?interaction={}", step.path(), self.id.reveal())
    }
}

/// Whether the headers say that one of our own pages sent the request, or say nothing ([Fetch Metadata],
/// `Origin`).
///
/// [Fetch Metadata]: https://www.w3.org/TR/fetch-metadata/
pub fn is_same_origin(app: &App, headers: &HeaderMap) -> bool {
    // An unreadable value is a value, and not that of our own pages.
    let text = |name: &str| headers.get(name).map(|value| value.to_str().unwrap_or_default());
    let site = text("sec-fetch-site").is_none_or(|site| matches!(site, "same-origin" | "none"));
    let own = app.config.issuer.origin();
    // `Referrer-Policy: no-referrer` makes browsers say `null` even for our own forms.
    let origin =
        text(header::ORIGIN.as_str()).is_none_or(|origin| origin == own || origin == "null");
    site && origin
}
