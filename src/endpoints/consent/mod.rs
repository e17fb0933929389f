//! The consent step: `GET /consent` is its page, `POST /consent` its form. What is granted is what the stored
//! interaction says: the form carries the decision, and nothing that could add to the request.
//!
//! Writes the consent and the interaction, then redirects back to `/authorize`.

pub mod page;

use std::time::Duration;

use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;

use self::page::{ConsentDuration, ConsentPage, ScopeLine, claim_lines, resource_line, scope_line};
use crate::domain::clients::Client;
use crate::domain::consent::{self, Consent};
use crate::domain::events::Event;
use crate::domain::interactions::{self, GivenConsent, NextStep, Step};
use crate::domain::users::User;
use crate::http::app::App;
use crate::http::authorization_response::see_other;
use crate::http::cookies::Cookies;
use crate::http::form::Form;
use crate::http::interaction_context::InteractionContext;
use crate::http::page_error::PageError;
use crate::http::pages::page as render;
use crate::http::parties::ClientCard;
use crate::http::request_info::RequestInfo;
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
    let context = InteractionContext::load(&app, &caller, &cookies, id).await?;
    match (context.next_step(&app), &context.browser_session.session) {
        (NextStep::Ask(Step::Consent), Some((_, user))) => Ok(consent_page(&app, &context, user)),
        (next, _) => context.redirect_onward(&caller, &app, next),
    }
}

fn consent_page(app: &App, context: &InteractionContext, person: &User) -> Response {
    let request = &context.interaction.request;
    let metadata = &context.client.metadata;
    let interaction = context.id.reveal();
    let other = context.switch_account_path();
    let csrf = format!(
        "{}.{}",
        context.csrf_token(app, "consent"),
        context.csrf_token(app, &user_form(person))
    );
    let catalogue = app.catalogue();
    let describe = |scope| catalogue.get(scope).and_then(|entry| entry.description.as_deref());
    let template = ConsentPage {
        interaction: &interaction,
        csrf: &csrf,
        client: ClientCard::of(app, &context.client, &request.reply),
        policy_uri: metadata.policy_uri.as_deref(),
        tos_uri: metadata.tos_uri.as_deref(),
        person: person.into(),
        // No other user's response could be sent to a client that asks for this user.
        other: Some(&*other).filter(|_| request.hinted.is_none()),
        scopes: catalogue
            .display_order(&request.scope)
            .map(|scope| scope_line(scope, describe(scope)))
            .collect(),
        claims: claim_lines(&request.claims, &request.scope),
        resources: apis(app, request.apis(&context.client)),
        lasts: duration(app, &context.client, &request.scope),
        asked_again: request.reply.is_impersonable(&context.client),
    };
    render(&template, StatusCode::OK, &context.page_policy(app))
}

/// The APIs as the page names them, but for our own userinfo endpoint, which the scopes describe.
fn apis(app: &App, asked: &[String]) -> Vec<ScopeLine> {
    let known = app.resources();
    let name = |it: &String| known.get(it).and_then(|entry| entry.name.clone());
    let others = asked.iter().filter(|it| *it != app.issuer());
    others.map(|it| resource_line(it, name(it).as_deref())).collect()
}

/// How long the grant lasts: as long as the session, or until the refresh tokens end.
fn duration(app: &App, client: &Client, scope: &Scope) -> ConsentDuration {
    if !scope.contains("offline_access") {
        return ConsentDuration::WhileSignedIn;
    }
    let own = client.settings.refresh_token_lifetime;
    let own = own.map(|seconds| Duration::from_secs(seconds.into()));
    ConsentDuration::For(own.unwrap_or(app.config.lifetimes.refresh_absolute))
}

/// `POST /consent`.
pub async fn submit(
    State(app): State<App>,
    caller: RequestInfo,
    form: Result<Form, crate::http::error::ApiError>,
) -> Result<Response, PageError> {
    let Ok(Form(params, headers)) = form else {
        return Err(PageError::foreign_form(&caller.request_id));
    };
    let cookies = Cookies::read(&app, &headers);
    let id = params.get("interaction").unwrap_or_default();
    let context = InteractionContext::load(&app, &caller, &cookies, id).await?;
    let csrf = params.get("csrf").unwrap_or_default();
    let (csrf, person) = csrf.split_once('.').unwrap_or((csrf, ""));
    context.check_form(&app, &caller, &headers, "consent", Some(csrf))?;
    let store_error = |cause: StoreError| PageError::unavailable(&caller.request_id, &cause);
    let user = context.browser_session.session.as_ref().map(|(_, user)| user);
    match (params.get("decision"), user) {
        // A denial counts whatever has happened since the page was shown, and of any user.
        (Some("deny"), user) => deny(&app, &caller, &context, user).await.map_err(store_error)?,
        // A consent counts only of the user that the page named, and while consent is the next step.
        (Some("accept"), Some(user))
            if context.next_step(&app) == NextStep::Ask(Step::Consent)
                && context.verify_csrf(&app, &user_form(user), Some(person)) =>
        {
            accept(&app, &caller, &context, user).await.map_err(store_error)?;
        }
        _ => {}
    }
    Ok(see_other(&context.dispatch_path()))
}

/// The form name for the second half of the CSRF token, which binds the form to the user that its page named.
fn user_form(user: &User) -> String {
    format!("consent of {}", user.sub.as_str())
}

async fn accept(
    app: &App,
    caller: &RequestInfo,
    context: &InteractionContext,
    user: &User,
) -> Result<(), StoreError> {
    let request = &context.interaction.request;
    let (client, scope) = (context.client.id.as_str(), request.scope.to_string());
    app.record_event(
        caller.address,
        &Event::ConsentGiven { sub: user.sub.as_str(), client, scope: &scope },
    );
    let apis = request.apis(&context.client).iter();
    let consent = Consent {
        sub: user.sub.clone(),
        client: context.client.id.clone(),
        scope: request.scope.clone(),
        claims: request.claims.user_claims().into_iter().map(str::to_owned).collect(),
        apis: apis.map(|api| (api.clone(), request.scope.clone())).collect(),
        display_digest: consent::display_digest(&context.client),
        given_at: app.now(),
    };
    consent::remember(&*app.store, &consent).await?;
    let Consent { sub, scope, claims, apis, .. } = consent;
    let resources = apis.into_keys().collect();
    let consent_epoch = context.browser_session.consent_epoch;
    let agreed = GivenConsent { sub, scope, claims, resources, consent_epoch };
    interactions::update_open(&*app.store, &context.id, |it| {
        it.given_consent = Some(agreed.clone());
    })
    .await?;
    Ok(())
}

async fn deny(
    app: &App,
    caller: &RequestInfo,
    context: &InteractionContext,
    user: Option<&User>,
) -> Result<(), StoreError> {
    let client = context.client.id.as_str();
    if let Some(user) = user.filter(|_| !context.interaction.finished) {
        app.record_event(caller.address, &Event::ConsentDenied { sub: user.sub.as_str(), client });
    }
    interactions::decline(&*app.store, &context.id).await
}
