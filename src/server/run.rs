//! From configuration to a running server, and to its end.

use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use super::banner::{self, DISCOVERY_PATH};
use super::control::ControlSocket;
use super::demo::{self, Demo};
use super::serve::{ConnectionLimits, listen, serve};
use super::tls::CertReloader;
use super::{event_writer, logging, logout_worker, maintenance, process, routes, store_metrics};
use crate::config::{Config, Http2, MetricsListen, OutboundSettings, SoftwareStatementKeys};
use crate::domain::clients::software_statement;
use crate::domain::development;
use crate::domain::events::{Actor, Events};
use crate::domain::keys::{
    FileKeys, KeyEncryptor, KeyRing, KeySource, RingError, RotationPolicy, load_files,
    load_secret_key, purposes,
};
use crate::domain::resources::Declared;
use crate::http::app::App;
use crate::infra::clock::{Clock, EARLIEST_PLAUSIBLE};
use crate::infra::outbound::{OutboundClient, OutboundOptions};
use crate::infra::secret_key::SecretKey;
use crate::infra::store::{self, Store};
use crate::operations::Context;
use crate::operations::bootstrap::Bootstrap;

/// The configuration, a key or a certificate is wrong (`EX_CONFIG` of sysexits.h).
const EX_CONFIG: u8 = 78;
/// The store is not there (`EX_UNAVAILABLE`).
const EX_UNAVAILABLE: u8 = 69;

/// How long requests under way may take after the signal to stop.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(20);
/// How long after the signal permits to hash a password are still given. Requests that wait longer show the form again.
const HASHING_CUTOFF: Duration = Duration::from_secs(15);
const _: () = assert!(HASHING_CUTOFF.as_secs() < DRAIN_TIMEOUT.as_secs());

/// Why the server does not start: the exit code, and the message for the operator.
struct StartupError {
    code: u8,
    message: String,
}

fn config_error(why: impl ToString) -> StartupError {
    StartupError { code: EX_CONFIG, message: why.to_string() }
}

fn store_unavailable(why: impl ToString) -> StartupError {
    StartupError { code: EX_UNAVAILABLE, message: why.to_string() }
}

/// Runs the server until a signal stops it.
pub async fn run(config: Config) -> ExitCode {
    logging::install(&config.log);
    match prepare_and_serve(config).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(StartupError { code, message: why }) => {
            eprintln!("latchkey: {why}");
            ExitCode::from(code)
        }
    }
}

async fn prepare_and_serve(config: Config) -> Result<(), StartupError> {
    process::harden_process();
    let files = process::raise_fd_limit();
    if Clock::System.now() < EARLIEST_PLAUSIBLE {
        return Err(config_error(
            "the clock of this machine is wrong: it is older than this program",
        ));
    }
    for warning in &config.warnings {
        tracing::warn!("{warning}");
    }
    let (files_of_keys, root) = load_key_files(&config)?;
    let bootstrap = config.bootstrap_file.as_deref().map(Bootstrap::load).transpose();
    let bootstrap = bootstrap.map_err(config_error)?;
    for warning in bootstrap.iter().flat_map(Bootstrap::warnings) {
        tracing::warn!("{warning}");
    }
    let load = match config.http2 {
        Http2::Tls | Http2::PriorKnowledge => CertReloader::load,
        Http2::Off => CertReloader::load_for_http1,
    };
    let tls = config.tls.as_ref().map(|tls| load(&tls.cert_path, &tls.key_path));
    let tls = tls.transpose().map_err(config_error)?;
    let fetcher = OutboundClient::new(outbound_options(&config.outbound)?).map_err(config_error)?;
    check_statement_keys(&config).await?;
    let store = store::open(&config.store, Clock::System).await.map_err(store_unavailable)?;
    let keys = open_key_ring(&config, &store, &root, files_of_keys).await?;

    let declared = bootstrap.as_ref().map(Bootstrap::catalogues).unwrap_or_default();
    declared.resources.check_at(config.issuer.as_str()).map_err(config_error)?;
    let demo = seed_store(&config, bootstrap.as_ref(), &declared, &store).await?;
    let metadata = routes::metadata(&config, &declared.scopes);
    let trial = demo.as_ref().map(|demo| demo.trial.clone());
    let app = App::new(
        config,
        (store, Clock::System),
        (keys, &root),
        Arc::new(fetcher),
        declared,
        &metadata,
        trial,
    );

    maintenance::refresh_catalogues(&app).await.map_err(store_unavailable)?;
    let control = bind_control(&app.config).await?;
    let listeners = bind_listeners(&app.config).await?;
    let discovery = app.config.issuer.url(DISCOVERY_PATH);
    let version = env!("CARGO_PKG_VERSION");
    tracing::info!(issuer = app.issuer(), version, discovery, "serving");
    banner::print(&app, demo.as_ref());
    if let Some(tls) = &tls {
        tls.spawn_reload(Duration::from_secs(10));
    }
    let limits = connection_limits(&app).with_file_limit(files);
    maintenance::spawn(app.clone(), bootstrap);
    let stop = spawn_shutdown(app.clone());
    if let Some(bound) = bind_metrics(&app.config.metrics_listen).await? {
        let router = routes::metrics_router(&app);
        tokio::spawn(serve(
            bound,
            None,
            router,
            ConnectionLimits::default(),
            stop.clone(),
            DRAIN_TIMEOUT,
        ));
    }
    if app.config.metrics_listen != MetricsListen::Off {
        store_metrics::spawn(app.clone());
    }
    let logout_workers = logout_worker::spawn(app.clone(), stop.clone());
    let event_writing = event_writer::spawn(app.clone(), stop.clone());
    let control = control.map(|control| tokio::spawn(control.serve(app.clone(), stop.clone())));
    serve(listeners, tls, routes::router(&app), limits, stop, DRAIN_TIMEOUT).await;
    // Each request of theirs has a timeout of three seconds.
    let _ended = tokio::time::timeout(Duration::from_secs(5), logout_workers).await;
    if let Some(control) = control {
        let _ended = control.await;
    }
    let _written = tokio::time::timeout(Duration::from_secs(5), event_writing).await;
    tracing::info!("stopped");
    Ok(())
}

/// Every address of `LISTEN`.
async fn bind_listeners(config: &Config) -> Result<Vec<TcpListener>, StartupError> {
    let mut listeners = Vec::new();
    for address in &config.listen {
        match listen(address).await {
            Ok(bound) => listeners.extend(bound),
            // Not every machine has IPv6; the default asks for both.
            Err(_) if address.starts_with("[::1]") && !listeners.is_empty() => {}
            Err(why) => return Err(config_error(format!("LISTEN: {address}: {why}"))),
        }
    }
    Ok(listeners)
}

/// The listener for metrics, if they have one of their own. Of several servers on one machine the first gets the default
/// address.
async fn bind_metrics(metrics: &MetricsListen) -> Result<Option<Vec<TcpListener>>, StartupError> {
    let MetricsListen::Separate { address, asked } = metrics else { return Ok(None) };
    match listen(address).await {
        Ok(bound) => Ok(Some(bound)),
        Err(why) if *asked => Err(config_error(format!("METRICS_LISTEN: {address}: {why}"))),
        Err(why) => {
            tracing::warn!(
                %address, %why,
                "metrics are not served, because their address is taken; METRICS_LISTEN is for another"
            );
            Ok(None)
        }
    }
}

/// The control socket. One that was configured has to be bound; without the default one the server starts, and commands
/// need it stopped.
async fn bind_control(config: &Config) -> Result<Option<ControlSocket>, StartupError> {
    let Some(path) = config.control_socket() else { return Ok(None) };
    match ControlSocket::bind(&path).await {
        Ok(socket) => Ok(Some(socket)),
        Err(why) if config.control_socket.is_some() => {
            Err(config_error(format!("CONTROL_SOCKET: {}: {why}", path.display())))
        }
        Err(why) => {
            let path = path.display();
            tracing::error!(%path, %why, "no control socket: commands need this server stopped");
            Ok(None)
        }
    }
}

/// Reads the key files before anything is opened, so that a bad one is reported at once.
fn load_key_files(config: &Config) -> Result<(FileKeys, SecretKey), StartupError> {
    // A durable store keeps the keys; without one, generated keys go to files.
    let make = !config.store.is_durable();
    let files =
        load_files(&KeySource::of(config), &purposes(config), make).map_err(config_error)?;
    for notice in &files.notices {
        tracing::info!("{notice}");
    }
    Ok((files, load_secret_key(config).map_err(config_error)?))
}

async fn open_key_ring(
    config: &Config,
    store: &Arc<dyn Store>,
    root: &SecretKey,
    files: FileKeys,
) -> Result<KeyRing, StartupError> {
    let at = (Arc::clone(store), Clock::System);
    let policy = RotationPolicy::of(config);
    let from_files: Vec<_> = files.keys.iter().map(|key| key.kid().to_owned()).collect();
    let ring =
        KeyRing::open(at, KeyEncryptor::new(root), purposes(config), policy, files.keys).await;
    if let Ok(ring) = ring.as_ref()
        && !config.store.is_durable()
    {
        // The store does not know which keys were used before this start; the files do.
        ring.mark_reported(|kid| {
            let names = |list: &[String]| list.iter().any(|it| it == kid);
            names(&from_files) && !names(&files.created_kids)
        });
    }
    ring.map_err(|error| match error {
        RingError::Store(error) => store_unavailable(error),
        RingError::WrongSecretKey(_)
        | RingError::Unreadable
        | RingError::Key(_)
        | RingError::TooManyKeys
        | RingError::KeyInUse
        | RingError::UnknownKey
        | RingError::ReadOnly => config_error(error),
    })
}

/// Checks the key files of software statement issuers before a port is bound.
async fn check_statement_keys(config: &Config) -> Result<(), StartupError> {
    for issuer in &config.software_statement_issuers {
        if let SoftwareStatementKeys::File(path) = &issuer.keys {
            let loaded = software_statement::load_keys(path).await;
            loaded.map_err(|why| config_error(format!("SOFTWARE_STATEMENT_ISSUERS: {why}")))?;
        }
    }
    Ok(())
}

fn outbound_options(outgoing: &OutboundSettings) -> Result<OutboundOptions, StartupError> {
    let allowed = outgoing.allow_private.iter().map(|entry| {
        entry.parse().map_err(|_| {
            config_error(format!("OUTGOING_ALLOW_PRIVATE: {entry} is no host or network"))
        })
    });
    Ok(OutboundOptions {
        ca_file: outgoing.ca_file.clone(),
        allow_private: allowed.collect::<Result<_, _>>()?,
        ..OutboundOptions::default()
    })
}

/// Stores declared users and clients, and the demo ones, before the first request.
async fn seed_store(
    config: &Config,
    bootstrap: Option<&Bootstrap>,
    declared: &Declared,
    store: &Arc<dyn Store>,
) -> Result<Option<Demo>, StartupError> {
    let passwords = crate::infra::password::PasswordHasher::new(config.limits.hash_threads, 64);
    let now = Clock::System.now();
    if let Some(bootstrap) = bootstrap {
        // Events are written also when applying the file fails half-way.
        let events = Events::new(Clock::System);
        let context = Context {
            issuer: config.issuer.as_str(),
            store: &**store,
            now,
            passwords: &passwords,
            events: &events,
            keys: None,
            declared,
            by: Actor::BootstrapFile,
        };
        let applied = bootstrap.apply(&context).await;
        let kept = events.flush(&**store).await;
        let applied = applied.map_err(store_unavailable)?;
        kept.map_err(store_unavailable)?;
        tracing::info!(users = %applied.users, clients = %applied.clients, "bootstrap file applied");
    }
    if !config.issuer.is_loopback() {
        let off = development::disable_all(&**store, now).await.map_err(store_unavailable)?;
        if !off.is_empty() {
            tracing::warn!("{}", off.warning());
        }
    }
    let Some(account) = &config.dev_account else { return Ok(None) };
    let demo = demo::seed(config, account, &**store, &passwords, now).await;
    demo.map(Some).map_err(store_unavailable)
}

fn connection_limits(app: &App) -> ConnectionLimits {
    ConnectionLimits {
        max_connections: app.config.limits.max_connections,
        max_connections_per_address: app.config.limits.max_connections_per_address,
        keep_alive: app.config.limits.keep_alive,
        prior_knowledge: app.config.http2 == Http2::PriorKnowledge,
        https: app.config.issuer.is_https(),
        trusted: app.config.trusted_proxies.clone(),
        ..ConnectionLimits::default()
    }
}

/// On the first signal: `/ready` fails, a pause for load balancers to see it (`DRAIN_DELAY`), then shutdown. On the second:
/// exit at once.
fn spawn_shutdown(app: App) -> watch::Receiver<bool> {
    let (stop_sender, stop) = watch::channel(false);
    tokio::spawn(async move {
        wait_for_signal().await;
        tracing::info!("stopping: finishing what was begun");
        app.draining.store(true, Ordering::Relaxed);
        tokio::select! {
            () = tokio::time::sleep(app.config.limits.drain) => {}
            () = wait_for_signal() => std::process::exit(1),
        }
        stop_sender.send_replace(true);
        tokio::select! {
            () = tokio::time::sleep(HASHING_CUTOFF) => app.passwords.close(),
            () = wait_for_signal() => std::process::exit(1),
        }
        wait_for_signal().await;
        std::process::exit(1);
    });
    stop
}

async fn wait_for_signal() {
    let (Ok(mut term), Ok(mut int)) =
        (signal(SignalKind::terminate()), signal(SignalKind::interrupt()))
    else {
        return std::future::pending().await;
    };
    tokio::select! {
        _ = term.recv() => {}
        _ = int.recv() => {}
    }
}
