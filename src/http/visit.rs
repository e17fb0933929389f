//! A person on their way through an interaction: everything its pages need, loaded and judged once.

use axum::http::{HeaderMap, StatusCode, header};

use super::caller::Caller;
use super::cookies::Cookies;
use super::page::{FormTargets, PagePolicy};
use super::trouble::Trouble;
use crate::app::App;
use crate::clients::{self, Client};
use crate::consents::{self, Consent};
use crate::interactions::{self, Interaction, Known, Next, Stale, decide};
use crate::protocol::redirect_uri;
use crate::requests::AuthorizationRequest;
use crate::secret::Secret;
use crate::sessions::{self, Session};
use crate::store::StoreError;
use crate::users::{self, User};

/// Who is signed in with this browser, and what they agreed to with this client.
pub struct Presence {
    /// A live session of an enabled user.
    pub session: Option<(Session, User)>,
    /// Of that user with that client.
    pub consent: Option<Consent>,
}

impl Presence {
    /// Looks both up.
    pub async fn find(app: &App, cookies: &Cookies, client: &Client) -> Result<Self, StoreError> {
        let nobody = Self { session: None, consent: None };
        let Some(id) = cookies.session() else { return Ok(nobody) };
        let Some(session) = sessions::find(&*app.store, id, app.now()).await? else {
            return Ok(nobody);
        };
        let user = users::find(&*app.store, &session.sub).await?.filter(|user| user.enabled);
        let Some(user) = user else { return Ok(nobody) };
        sessions::touch(&*app.store, &session, app.session_limits().idle, app.now()).await?;
        let consent = consents::find(&*app.store, &session.sub, &client.id).await?;
        Ok(Self { session: Some((session, user)), consent })
    }
}

/// The visit.
pub struct Visit {
    /// Opens the interaction.
    pub id: Secret,
    /// The browser it belongs to.
    pub browser: Secret,
    /// The half-finished authorization.
    pub interaction: Interaction,
    /// Who asks.
    pub client: Client,
    /// Who is here.
    pub presence: Presence,
}

impl Visit {
    /// Loads the interaction `id` for this browser, or says in a page why it cannot go on.
    pub async fn load(
        app: &App,
        caller: &Caller,
        cookies: &Cookies,
        id: &str,
    ) -> Result<Self, Trouble> {
        let broken = |cause: StoreError| Trouble::unavailable(&caller.request_id, &cause);
        let stale = |stale: Stale| explain(app, caller, stale);
        let secret = Secret::parse(id).ok_or_else(|| stale(Stale::Unknown))?;
        let browser = cookies.browser.clone().ok_or_else(|| stale(Stale::Unknown))?;
        let found = interactions::find(&*app.store, &secret, Some(&browser), app.now()).await;
        let mut interaction = found.map_err(broken)?.map_err(stale)?;
        let client = clients::find(&*app.store, &interaction.request.client).await;
        let client = client.map_err(broken)?.filter(|client| client.enabled);
        // A redirect URI that the client gave up since may be somebody else's by now.
        let to = interaction.request.destination.redirect_uri();
        let client = client.filter(|client| client.metadata.allows_redirect_to(to));
        let client = client.ok_or_else(|| stale(Stale::Unknown))?;
        // Nor is anybody asked for what the client may not have any more.
        let scope = interaction.request.scope.shared_with(&client.scope_ceiling());
        if scope.is_empty() {
            return Err(stale(Stale::Unknown));
        }
        interaction.request.scope = scope;
        let claims = app.catalogue.exposed_by(&client.scope_ceiling());
        interaction.request.claims = interaction.request.claims.limited_to(&claims);
        let presence = Presence::find(app, cookies, &client).await.map_err(broken)?;
        Ok(Self { id: secret, browser, interaction, client, presence })
    }

    /// What has to be done now.
    pub fn next(&self, app: &App) -> Next {
        let session = self.presence.session.as_ref().map(|(session, _)| session);
        let seen_as = session.map(|session| app.seen_by(&self.client, &session.sub));
        let known = Known {
            request: &self.interaction.request,
            client: &self.client,
            session,
            seen_as: seen_as.as_ref(),
            consent: self.presence.consent.as_ref(),
            interaction: Some(&self.interaction),
        };
        decide(known, app.now())
    }

    /// The token for a form of this visit.
    pub fn csrf(&self, app: &App, form: &str) -> String {
        interactions::csrf(&app.csrf_key, &self.id, &self.browser, form)
    }

    /// Whether a form was sent from our own page to this browser: its token, and where the browser says
    /// it came from.
    pub fn sent_by_us(
        &self,
        app: &App,
        headers: &HeaderMap,
        form: &str,
        token: Option<&str>,
    ) -> bool {
        let token = token.unwrap_or_default();
        from_own_page(app, headers)
            && interactions::csrf_fits(&app.csrf_key, &self.id, &self.browser, form, token)
    }

    /// What the pages of this visit may do beyond the default: lead on to the client, and from there
    /// wherever it sends people, after a form; and show its logo.
    pub fn policy(&self, app: &App) -> PagePolicy {
        let logo = app.logo_uri(&self.client);
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

/// An interaction that cannot go on, and the way on all the same.
fn explain(app: &App, caller: &Caller, stale: Stale) -> Trouble {
    let page = |title, message: &str, way_on| Trouble {
        status: StatusCode::BAD_REQUEST,
        title,
        message: message.to_owned(),
        detail: None,
        way_on,
        request_id: caller.request_id.clone(),
    };
    let again = |request: &AuthorizationRequest| {
        if request.hinted.is_some() {
            // Begun again without the hint, it could end up about somebody else.
            return None;
        }
        let href = format!("{}?{}", app.config.issuer.url("/authorize"), request.query);
        Some((href, "Start again".to_owned()))
    };
    match stale {
        Stale::Unknown => page(
            "Please start again",
            "This sign-in was begun in another browser, or too long ago. \
             Go back to the application and sign in from there.",
            None,
        ),
        Stale::Expired(request) => page(
            "That took too long",
            "For your safety a sign-in has to be finished within a few minutes. You can start again.",
            again(&request),
        ),
        Stale::Finished(request) => {
            let origin = redirect_uri::web_origin(request.destination.redirect_uri());
            page(
                "Already signed in",
                "This sign-in was finished, perhaps in another tab. Go back to the application.",
                origin.map(|origin| (origin, "Back to the application".to_owned())),
            )
        }
    }
}
