//! The consent page, and its answer. What is granted is what the stored interaction says: the form
//! carries a yes or a no, and nothing that could add to it.
//!
//! Writes the interaction's proof and the remembered consent, then goes back to the hub.

pub mod page;

use std::time::Duration;

use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;

use self::page::{ConsentPage, Lasts, ScopeLine, claim_lines, resource_line, scope_line};
use crate::domain::clients::Client;
use crate::domain::consent::{self, Consent};
use crate::domain::events::Event;
use crate::domain::interactions::{self, Agreed, Next, Step};
use crate::domain::users::User;
use crate::http::app::App;
use crate::http::authorization_response::see_other;
use crate::http::cookies::Cookies;
use crate::http::form::Form;
use crate::http::page::page as render;
use crate::http::page_error::PageError;
use crate::http::parties::ClientCard;
use crate::http::request_info::RequestInfo;
use crate::http::visit::Visit;
use crate::infra::store::StoreError;
use crate::protocol::{LenientParams, Scope};

/// `GET /consent`.
pub async fn show(
    State(app): State<App>,
    caller: RequestInfo,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, PageError> {
    let params =
        LenientParams::parse(query.unwrap_or_default().as_bytes(), |name| name == "interaction")
            .params;
    let cookies = Cookies::read(&app, &headers);
    let id = params.get("interaction").unwrap_or_default();
    let visit = Visit::load(&app, &caller, &cookies, id).await?;
    match (visit.next(&app), &visit.presence.session) {
        (Next::Ask(Step::Consent), Some((_, user))) => Ok(ask(&app, &visit, user)),
        (next, _) => visit.leave_page(&caller, &app, next),
    }
}

fn ask(app: &App, visit: &Visit, person: &User) -> Response {
    let request = &visit.interaction.request;
    let metadata = &visit.client.metadata;
    let interaction = visit.id.reveal();
    let other = visit.path_to_other_account();
    let csrf = format!("{}.{}", visit.csrf(app, "consent"), visit.csrf(app, &asked_of(person)));
    let catalogue = app.catalogue();
    let describe = |scope| catalogue.get(scope).and_then(|entry| entry.description.as_deref());
    let template = ConsentPage {
        interaction: &interaction,
        csrf: &csrf,
        client: ClientCard::of(app, &visit.client, &request.reply),
        policy_uri: metadata.policy_uri.as_deref(),
        tos_uri: metadata.tos_uri.as_deref(),
        person: person.into(),
        // Somebody else could not be given to a client that asks for this very person.
        other: Some(&*other).filter(|_| request.hinted.is_none()),
        scopes: catalogue
            .display_order(&request.scope)
            .map(|scope| scope_line(scope, describe(scope)))
            .collect(),
        claims: claim_lines(&request.claims, &request.scope),
        resources: apis(app, request.apis(&visit.client)),
        lasts: lasts(app, &visit.client, &request.scope),
        asked_again: request.reply.is_impersonable(&visit.client),
    };
    render(&template, StatusCode::OK, &visit.policy(app))
}

/// The APIs as the page names them; our own userinfo endpoint is what the scopes speak of.
fn apis(app: &App, asked: &[String]) -> Vec<ScopeLine> {
    let known = app.resources();
    let name = |it: &String| known.get(it).and_then(|entry| entry.name.clone());
    let others = asked.iter().filter(|it| *it != app.issuer());
    others.map(|it| resource_line(it, name(it).as_deref())).collect()
}

/// How long what is allowed lasts: as long as the session, or beyond it until refreshing ends.
fn lasts(app: &App, client: &Client, scope: &Scope) -> Lasts {
    if !scope.contains("offline_access") {
        return Lasts::WhileSignedIn;
    }
    let own = client.settings.refresh_token_lifetime;
    let own = own.map(|seconds| Duration::from_secs(seconds.into()));
    Lasts::For(own.unwrap_or(app.config.lifetimes.refresh_absolute))
}

/// `POST /consent`.
pub async fn answer(
    State(app): State<App>,
    caller: RequestInfo,
    form: Result<Form, crate::http::error::ApiError>,
) -> Result<Response, PageError> {
    let Ok(Form(params, headers)) = form else {
        return Err(PageError::foreign_form(&caller.request_id));
    };
    let cookies = Cookies::read(&app, &headers);
    let id = params.get("interaction").unwrap_or_default();
    let visit = Visit::load(&app, &caller, &cookies, id).await?;
    let csrf = params.get("csrf").unwrap_or_default();
    let (csrf, person) = csrf.split_once('.').unwrap_or((csrf, ""));
    visit.admit_form(&app, &caller, &headers, ("consent", Some(csrf)))?;
    let broken = |cause: StoreError| PageError::unavailable(&caller.request_id, &cause);
    let user = visit.presence.session.as_ref().map(|(_, user)| user);
    match (params.get("decision"), user) {
        // A no counts whatever has happened since the page was shown, and whoever says it.
        (Some("deny"), user) => deny(&app, &caller, &visit, user).await.map_err(broken)?,
        // A yes counts of whom the page named, and where the question is open: not asked, or answered, is none.
        (Some("accept"), Some(user))
            if visit.next(&app) == Next::Ask(Step::Consent)
                && visit.is_csrf(&app, &asked_of(user), Some(person)) =>
        {
            agree(&app, &caller, &visit, user).await.map_err(broken)?;
        }
        _ => {}
    }
    Ok(see_other(&visit.hub()))
}

/// What the second half of the form's token binds it to: the person whom its page named.
fn asked_of(user: &User) -> String {
    format!("consent of {}", user.sub.as_str())
}

async fn agree(
    app: &App,
    caller: &RequestInfo,
    visit: &Visit,
    user: &User,
) -> Result<(), StoreError> {
    let request = &visit.interaction.request;
    let (client, scope) = (visit.client.id.as_str(), request.scope.to_string());
    app.record_event(
        caller.address,
        &Event::ConsentGiven { sub: user.sub.as_str(), client, scope: &scope },
    );
    let apis = request.apis(&visit.client).iter();
    let consent = Consent {
        sub: user.sub.clone(),
        client: visit.client.id.clone(),
        scope: request.scope.clone(),
        claims: request.claims.user_claims().into_iter().map(str::to_owned).collect(),
        apis: apis.map(|api| (api.clone(), request.scope.clone())).collect(),
        face: consent::face(&visit.client),
        given_at: app.now(),
    };
    consent::remember(&*app.store, &consent).await?;
    let Consent { sub, scope, claims, apis, .. } = consent;
    let resources = apis.into_keys().collect();
    let consent_epoch = visit.presence.consent_epoch;
    let agreed = Agreed { sub, scope, claims, resources, consent_epoch };
    interactions::note(&*app.store, &visit.id, |it| it.agreed = Some(agreed.clone())).await?;
    Ok(())
}

async fn deny(
    app: &App,
    caller: &RequestInfo,
    visit: &Visit,
    user: Option<&User>,
) -> Result<(), StoreError> {
    let client = visit.client.id.as_str();
    if let Some(user) = user.filter(|_| !visit.interaction.finished) {
        app.record_event(caller.address, &Event::ConsentDenied { sub: user.sub.as_str(), client });
    }
    interactions::decline(&*app.store, &visit.id).await
}
