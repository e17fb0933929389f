//! A person on their way through an interaction: everything its pages need, loaded and judged once.

use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::Response;
use uuid::Uuid;

use super::authorization_response::see_other;
use super::cookies::{self, Cookies};
use super::page::{FormTargets, PagePolicy};
use super::page_error::PageError;
use super::request_info::RequestInfo;
use super::stopped;
use crate::domain::clients::{self, Client};
use crate::domain::consent::{self, Consent};
use crate::domain::epoch::{self, Epoch, Owner};
use crate::domain::grants::OpaqueToken;
use crate::domain::interactions::{self, Agreed, Interaction, Known, Next, Step, Stop, decide};
use crate::domain::sessions::{self, Session};
use crate::domain::users::{self, User};
use crate::http::app::App;
use crate::infra::secret::Secret;
use crate::infra::store::{Consistency, StoreError};
use crate::protocol::Subject;

/// Who is signed in with this browser, and what they agreed to with this client.
pub struct Presence {
    /// A live session of an enabled user.
    pub session: Option<(Session, User)>,
    /// Of that user with that client.
    pub consent: Option<Consent>,
    /// The epoch of that consent, from before it was looked up: what is granted on it dies when it is taken
    /// back meanwhile.
    pub consent_epoch: Epoch,
}

impl Presence {
    /// Looks both up.
    pub async fn find(app: &App, cookies: &Cookies, client: &Client) -> Result<Self, StoreError> {
        let nobody = Self { session: None, consent: None, consent_epoch: Epoch::default() };
        let Some(id) = cookies.session() else { return Ok(nobody) };
        let Some(session) = sessions::find(&*app.store, id, app.now()).await? else {
            return Ok(nobody);
        };
        let user = users::find(&*app.store, &session.sub).await?.filter(|user| user.enabled);
        let Some(user) = user else { return Ok(nobody) };
        sessions::touch(&*app.store, &session, app.session_lifetimes().idle, app.now()).await?;
        let owner = Owner::Consent { sub: session.sub.clone(), client: client.id.clone() };
        let consent_epoch = epoch::current(&*app.store, &owner, Consistency::Strong).await?;
        let consent = consent::find(&*app.store, &session.sub, &client.id).await?;
        Ok(Self { session: Some((session, user)), consent, consent_epoch })
    }
}

/// The visit.
pub struct Visit {
    /// Opens the interaction.
    pub id: Secret,
    /// The cookie it belongs to; absent in another browser than the one that got it.
    cookie: Option<Secret>,
    /// The half-finished authorization.
    pub interaction: Interaction,
    /// Who asks.
    pub client: Client,
    /// Who is here.
    pub presence: Presence,
}

impl Visit {
    /// Loads the interaction `id`, or says in a page that there is none. Whether it can go on, and in this
    /// browser, is for [`next`](Self::next) to say.
    pub async fn load(
        app: &App,
        caller: &RequestInfo,
        cookies: &Cookies,
        id: &str,
    ) -> Result<Self, PageError> {
        let broken = |cause: StoreError| PageError::unavailable(&caller.request_id, &cause);
        let unknown = || stopped::unknown(caller);
        let id = Secret::parse(id).ok_or_else(unknown)?;
        let found = interactions::find(&*app.store, &id).await.map_err(broken)?;
        let mut interaction = found.ok_or_else(unknown)?;
        let client = clients::find(&*app.store, &interaction.request.client).await;
        let client = client.map_err(broken)?.filter(|client| client.enabled);
        let client = client.filter(|client| interaction.request.reply.is_allowed_for(client));
        let client = client.ok_or_else(unknown)?;
        // Nor is anybody asked for what the client may not have any more.
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
        let cookie = cookies.of_interaction(&id).find(|it| interaction.accepts_secret(it)).cloned();
        let presence = Presence::find(app, cookies, &client).await.map_err(broken)?;
        // A yes that was taken back since is none.
        let stands = |agreed: &Agreed| agreed.consent_epoch >= presence.consent_epoch;
        interaction.agreed = interaction.agreed.filter(stands);
        Ok(Self { id, cookie, interaction, client, presence })
    }

    /// What has to be done now.
    pub fn next(&self, app: &App) -> Next {
        self.decide(app, Some(&self.interaction))
    }

    /// What would have to be done if the same request came now, and nothing had been done for it yet.
    pub fn next_anew(&self, app: &App) -> Next {
        self.decide(app, None)
    }

    fn decide(&self, app: &App, interaction: Option<&Interaction>) -> Next {
        let session = self.presence.session.as_ref().map(|(session, _)| session);
        let seen_as = session.map(|session| app.subject_for(&self.client, &session.sub));
        let known = Known {
            request: &self.interaction.request,
            client: &self.client,
            session,
            seen_as: seen_as.as_ref(),
            consent: self.presence.consent.as_ref(),
            interaction,
            own: self.cookie.is_some(),
        };
        decide(known, app.now())
    }

    /// Where a page sends whoever has nothing to do on it. A page that is loaded again is no wish for the
    /// answer again: only a form is.
    pub fn leave_page(
        &self,
        caller: &RequestInfo,
        app: &App,
        next: Next,
    ) -> Result<Response, PageError> {
        match next {
            Next::Ask(step) => Ok(see_other(&self.path_of(step))),
            Next::Issue | Next::Refuse(_) if self.interaction.finished => {
                Err(stopped::explain(app, caller, self, Stop::Finished))
            }
            Next::Issue | Next::Refuse(_) => Ok(see_other(&self.hub())),
            Next::Stop(stop) => Err(stopped::explain(app, caller, self, stop)),
        }
    }

    /// Refuses a form that cannot count: one that was not sent from our own page to this browser, by its
    /// token and by where the browser says it came from, or one that comes too late.
    pub fn admit_form(
        &self,
        app: &App,
        caller: &RequestInfo,
        headers: &HeaderMap,
        (form, token): (&str, Option<&str>),
    ) -> Result<(), PageError> {
        if let Next::Stop(stop @ (Stop::Foreign | Stop::Expired)) = self.next(app) {
            return Err(stopped::explain(app, caller, self, stop));
        }
        let fits = self.is_csrf(app, form, token);
        if fits && from_own_page(app, headers) {
            return Ok(());
        }
        // What is over says so to whoever asks: there is nothing that a form could do.
        if self.interaction.finished && !fits {
            return Err(stopped::explain(app, caller, self, Stop::Finished));
        }
        Err(PageError::foreign_form(&caller.request_id))
    }

    /// The token for a form of this visit.
    pub fn csrf(&self, app: &App, form: &str) -> String {
        let cookie = self.cookie.as_ref();
        let token = |it| interactions::csrf(&app.csrf_key, &self.id, it, form);
        cookie.map(token).unwrap_or_default()
    }

    /// Whether the token is the one that [`csrf`](Self::csrf) makes for that form.
    pub fn is_csrf(&self, app: &App, form: &str, token: Option<&str>) -> bool {
        let token = token.unwrap_or_default();
        let fits = |cookie| interactions::csrf_fits(&app.csrf_key, &self.id, cookie, form, token);
        self.cookie.as_ref().is_some_and(fits)
    }

    /// The name (`sid`) of the session in which this user signs in here.
    pub fn session_name(&self, app: &App, sub: &Subject) -> Uuid {
        interactions::session_name(&app.interaction_key, &self.id, sub)
    }

    /// The code that answers it in this session.
    pub fn code(&self, app: &App, session: &Session) -> OpaqueToken {
        interactions::code_handle(&app.interaction_key, &self.id, session.sid)
    }

    /// The `Set-Cookie` line that lets its cookie go: kept a little, for who asks once more.
    pub fn release_cookie(&self, app: &App) -> Option<HeaderValue> {
        let keep = interactions::REPEAT_WINDOW;
        self.cookie.as_ref().map(|it| cookies::set_interaction(app, &self.id, it, keep))
    }

    /// What the pages of this visit may do beyond the default: lead on to the client, and from there
    /// wherever it sends people, after a form; and show its logo.
    pub fn policy(&self, app: &App) -> PagePolicy {
        let logo = app.logo_uri(&self.client, self.interaction.request.reply.redirect_uri());
        PagePolicy {
            form_targets: FormTargets::Anywhere,
            images: logo.and_then(super::page::source_of).into_iter().collect(),
            ..PagePolicy::default()
        }
    }

    /// The path back to the hub.
    pub fn hub(&self) -> String {
        format!("/authorize?interaction={}", self.id.reveal())
    }

    /// The sign-in page, for somebody else than who is signed in.
    pub fn path_to_other_account(&self) -> String {
        format!("{}&other=1", self.path_of(Step::Login))
    }

    /// The page of a step.
    pub fn path_of(&self, step: Step) -> String {
        format!("{}?interaction={}", step.path(), self.id.reveal())
    }
}

/// Whether the browser says that one of our own pages sent this, or does not say ([Fetch Metadata],
/// `Origin`).
///
/// [Fetch Metadata]: https://www.w3.org/TR/fetch-metadata/
pub fn from_own_page(app: &App, headers: &HeaderMap) -> bool {
    // What cannot be read was said all the same, and is not what our own pages say.
    let text = |name: &str| headers.get(name).map(|value| value.to_str().unwrap_or_default());
    let site = text("sec-fetch-site").is_none_or(|site| matches!(site, "same-origin" | "none"));
    let own = app.config.issuer.origin();
    // `Referrer-Policy: no-referrer` makes browsers say `null` even for our own forms.
    let origin =
        text(header::ORIGIN.as_str()).is_none_or(|origin| origin == own || origin == "null");
    site && origin
}
