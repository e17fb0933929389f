//! The periodic task of a running server: rotates keys, restores a store that was emptied, picks up added scopes and APIs, and
//! keeps development accounts disabled on a public issuer. SIGHUP reads the key files again, SIGUSR1 rotates every key.

use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::{MissedTickBehavior, interval};

use super::routes;
use crate::domain::development;
use crate::domain::events::{Actor, Event};
use crate::domain::keys::{Activation, KeyInfo, KeySource, load_files, purposes};
use crate::domain::resources;
use crate::domain::scopes;
use crate::http::app::App;
use crate::infra::store::{StoreError, schema};
use crate::operations::bootstrap::{ApplyReport, Bootstrap};

/// How often the store is checked.
const MAINTENANCE_INTERVAL: Duration = Duration::from_secs(5);

/// Starts the tasks; they run until the process ends. `declared` is applied again when the store was emptied.
pub fn spawn(app: App, declared: Option<Bootstrap>) {
    let (hangup, now) = (signal(SignalKind::hangup()), signal(SignalKind::user_defined1()));
    let (Ok(hangup), Ok(now)) = (hangup, now) else {
        tracing::error!("signals cannot be heard: keys rotate on schedule only");
        tokio::spawn(run_loop(app, declared));
        return;
    };
    tokio::spawn(handle_signals(app.clone(), hangup, now));
    tokio::spawn(run_loop(app, declared));
}

async fn run_loop(app: App, declared: Option<Bootstrap>) {
    let mut ticks = interval(MAINTENANCE_INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let (mut kept, mut failing) = (true, false);
    loop {
        ticks.tick().await;
        // Without a readable ring nothing is restored, and the file is not applied over and over.
        match run_once(&app, declared.as_ref().filter(|_| kept)).await {
            Ok(found) => (kept, failing) = (found, false),
            // Once for an outage, not every few seconds.
            Err(error) if !failing => {
                failing = true;
                tracing::error!(%error, "the signing keys could not be looked after; they stay as they are");
            }
            Err(_) => {}
        }
        record_key_changes(&app);
        disable_development(&app).await;
    }
}

/// On a public issuer, disables what development created, also when a restore or another server brought it back. Errors of the
/// store are logged elsewhere.
async fn disable_development(app: &App) {
    if !app.config.issuer.is_loopback() {
        let _off = development::disable_all(&*app.store, app.now()).await;
    }
}

/// One round. Restores a store that was emptied (`FLUSHALL`, a Redis without persistence): the schema, then the bootstrap
/// file, and last the keys, without which `/ready` fails. Returns whether the store had the keys.
pub async fn run_once(app: &App, declared: Option<&Bootstrap>) -> Result<bool, String> {
    let kept = app.keys.is_stored().await.map_err(|why| why.to_string())?;
    if !kept {
        let settled = schema::ensure_schema(&*app.store, schema::CURRENT_SCHEMA).await;
        settled.map_err(|why| why.to_string())?;
    }
    if !kept && let Some(declared) = declared {
        let applied = declared.apply(&app.operation_context(Actor::BootstrapFile)).await;
        let ApplyReport { users, clients } = applied.map_err(|why| why.to_string())?;
        tracing::error!(%users, %clients, "the store was emptied; the bootstrap file is applied again");
    }
    app.keys.refresh().await.map_err(|why| why.to_string())?;
    refresh_catalogues(app).await.map_err(|why| why.to_string())?;
    Ok(kept)
}

/// Reads the scopes and APIs that were added to the store, by any server or command, and replaces what this server knows.
pub async fn refresh_catalogues(app: &App) -> Result<(), StoreError> {
    let resources = resources::merge_stored(&*app.store, &app.declared.resources).await?;
    if resources != *app.resources() {
        app.replace_resources(resources);
    }
    let catalogue = scopes::merge_stored(&*app.store, &app.declared.scopes).await?;
    if catalogue != *app.catalogue() {
        let metadata = routes::metadata(&app.config, &catalogue);
        app.replace_scopes(catalogue, &metadata);
    }
    Ok(())
}

async fn handle_signals(app: App, mut hangup: Signal, mut now: Signal) {
    loop {
        let done = tokio::select! {
            heard = hangup.recv() => if heard.is_some() { reload_key_files(&app).await } else { return },
            heard = now.recv() => if heard.is_some() { rotate_keys(&app).await } else { return },
        };
        if let Err(why) = done {
            tracing::error!(%why, "the signing keys stay as they are");
        }
        record_key_changes(&app);
    }
}

async fn reload_key_files(app: &App) -> Result<(), String> {
    let (source, needed) = (KeySource::of(&app.config), purposes(&app.config));
    let read = tokio::task::spawn_blocking(move || load_files(&source, &needed, false)).await;
    let files = read.map_err(|why| why.to_string())?.map_err(|why| why.to_string())?;
    app.keys.import_files(files.keys).await.map_err(|why| why.to_string())?;
    tracing::info!("the key files were read again");
    Ok(())
}

async fn rotate_keys(app: &App) -> Result<(), String> {
    app.keys.rotate(Activation::Now).await.map_err(|why| why.to_string())?;
    tracing::info!("every algorithm has a new key, which signs in 45 seconds");
    Ok(())
}

/// Records an event for each key that entered another phase.
fn record_key_changes(app: &App) {
    for key in app.keys.take_phase_changes() {
        let KeyInfo { ref kid, purpose, phase, .. } = key;
        app.events.record(None, &Event::KeyChanged { kid, purpose, phase });
    }
}
