//! Delivers queued logout tokens to clients ([Back-Channel Logout §2.5]). Every server runs this; each delivery is
//! claimed by one of them.
//!
//! [Back-Channel Logout §2.5]: https://openid.net/specs/openid-connect-backchannel-1_0.html#BCRequest

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};

use crate::domain::clients;
use crate::domain::events::{Event, LogoutDeliveryOutcome};
use crate::domain::logout_notifications::{
    self, ClaimedDelivery, DeliveryOutcome, DeliveryResult, LOGOUT_TOKEN_TYP, logout_token_claims,
};
use crate::http::app::App;
use crate::infra::store::StoreError;

/// Starts the worker. After `stop` it claims nothing more, and ends when the deliveries under way have ended.
pub fn spawn(app: App, stop: watch::Receiver<bool>) -> JoinHandle<()> {
    tokio::spawn(run_worker(app, stop))
}

async fn run_worker(app: App, mut stop: watch::Receiver<bool>) {
    let in_flight = InFlight::default();
    let mut deliveries = JoinSet::new();
    while !*stop.borrow() {
        while deliveries.len() < MAX_CONCURRENT_DELIVERIES {
            match logout_notifications::claim_next(&*app.store, &in_flight.tags(), app.now()).await
            {
                Ok(Some(claim)) => {
                    let guard = in_flight.insert(&claim.tag);
                    let app = app.clone();
                    deliveries.spawn(async move {
                        let _guard = guard;
                        deliver(&app, &claim).await;
                    });
                }
                Ok(None) => break,
                Err(cause) => {
                    tracing::warn!(%cause, "the queue of logouts cannot be read");
                    break;
                }
            }
        }
        tokio::select! {
            Some(_) = deliveries.join_next() => {}
            () = app.logout_queued.notified() => {}
            // For retries that fall due, and for what other servers have queued.
            () = tokio::time::sleep(POLL_INTERVAL) => {}
            changed = stop.changed() => if changed.is_err() { break },
        }
    }
    while deliveries.join_next().await.is_some() {}
}

/// One attempt, and the record of its outcome.
async fn deliver(app: &App, claim: &ClaimedDelivery) {
    let client = claim.delivery.client.as_str();
    let settled = match send(app, claim).await {
        Ok(outcome) => {
            let settled =
                logout_notifications::complete(&*app.store, claim, outcome, app.now()).await;
            settled.map(|settled| (outcome, settled))
        }
        Err(cause) => Err(cause),
    };
    match settled {
        Ok((outcome, settled)) => {
            let outcome = match (settled, outcome) {
                (DeliveryResult::Done, _) => LogoutDeliveryOutcome::Ok,
                (DeliveryResult::WillRetry, _) => LogoutDeliveryOutcome::Retry,
                (DeliveryResult::GivenUp, DeliveryOutcome::Refused) => {
                    LogoutDeliveryOutcome::Refused
                }
                (
                    DeliveryResult::GivenUp,
                    DeliveryOutcome::Delivered | DeliveryOutcome::Unreachable,
                ) => LogoutDeliveryOutcome::Failed,
            };
            app.events.record(None, &Event::LogoutNotified { client, outcome });
        }
        // The claim expires, and the delivery is tried again.
        Err(cause) => {
            tracing::error!(%cause, kind = cause.kind(), "a logout could not be noted as told");
        }
    }
}

async fn send(app: &App, claim: &ClaimedDelivery) -> Result<DeliveryOutcome, StoreError> {
    let delivery = &claim.delivery;
    let client = clients::find(&*app.store, &delivery.client).await?;
    // A client that was removed, or no longer has an address, is not notified.
    let Some(client) = client.filter(|it| it.enabled) else {
        return Ok(DeliveryOutcome::Delivered);
    };
    let Some(uri) = &client.metadata.backchannel_logout_uri else {
        return Ok(DeliveryOutcome::Delivered);
    };
    let alg = client.metadata.id_token_signed_response_alg;
    let sid = app.sid_for(&client, delivery.sid);
    let claims = logout_token_claims(app.issuer(), delivery, &sid, app.now());
    let Ok(token) = app.keys.sign_with(alg, LOGOUT_TOKEN_TYP, claims).await else {
        tracing::error!("a logout token could not be signed");
        return Ok(DeliveryOutcome::Unreachable);
    };
    Ok(match app.logout_client.post_form(uri, &[("logout_token", &token)]).await {
        // "… some Web frameworks will substitute an HTTP 204" (§2.8); any success is one.
        Ok(200..=299) => DeliveryOutcome::Delivered,
        Ok(400) => DeliveryOutcome::Refused,
        Ok(status) => {
            tracing::warn!(client = delivery.client.as_str(), status, "a client was not told");
            DeliveryOutcome::Unreachable
        }
        Err(cause) => {
            let (client, reason) = (delivery.client.as_str(), cause.reason());
            tracing::warn!(client, reason, "a client was not told");
            DeliveryOutcome::Unreachable
        }
    })
}

/// The clients that a request is under way to. Each has one at a time, so that a client that does not answer holds up one
/// delivery and no more.
#[derive(Clone, Default)]
struct InFlight(Arc<Mutex<BTreeSet<String>>>);

/// Removes its client from [`InFlight`] when dropped.
struct InFlightGuard {
    in_flight: InFlight,
    tag: String,
}

impl InFlight {
    fn tags(&self) -> BTreeSet<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn insert(&self, tag: &str) -> InFlightGuard {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(tag.to_owned());
        InFlightGuard { in_flight: self.clone(), tag: tag.to_owned() }
    }
}

impl Drop for InFlightGuard {
    fn drop(&mut self) {
        self.in_flight.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.tag);
    }
}

/// Deliveries under way in all.
const MAX_CONCURRENT_DELIVERIES: usize = 8;

const POLL_INTERVAL: Duration = Duration::from_secs(2);
