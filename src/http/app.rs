//! The state that every endpoint shares. An [`App`] is one pointer, so cloning it is cheap.

use std::net::IpAddr;
use std::ops::Deref;
use std::sync::Arc;

use arc_swap::ArcSwap;
use uuid::Uuid;

use crate::config::Config;
use crate::domain::authenticators::GuessLimits;
use crate::domain::clients::jwks_cache::JwksCache;
use crate::domain::clients::secret_encryption::SecretCipher;
use crate::domain::clients::unused_userinfo::UnusedUserinfo;
use crate::domain::clients::{Client, RegistrationSource};
use crate::domain::events::{Actor, Event, Events, LogoutDeliveryOutcome};
use crate::domain::keys::KeyRing;
use crate::domain::logout_notifications::LogoutNotifications;
use crate::domain::pairwise::PairwiseKey;
use crate::domain::resources::{Declared, ResourceCatalogue};
use crate::domain::sessions;
use crate::domain::users;
use crate::http::cached_json::CachedJson;
use crate::infra::client_ip::UntrustedForwarders;
use crate::infra::clock::{Clock, UnixTime};
use crate::infra::outbound::OutboundClient;
use crate::infra::password::PasswordHasher;
use crate::infra::secret::base64url;
use crate::infra::secret_key::{EncryptionKey, EncryptionPurpose, MacKey, MacPurpose, SecretKey};
use crate::infra::store::{CachedStore, InstrumentedStore, Store};
use crate::operations::Context;
use crate::protocol::claims::ScopeCatalogue;
use crate::protocol::redirect_uri::web_origin;
use crate::protocol::{ProviderMetadata, Scope, Subject};

/// A running server.
#[derive(Clone)]
pub struct App(Arc<AppState>);

/// The parts of a running server.
pub struct AppState {
    /// The settings.
    pub config: Config,
    /// The store, with its cache; every command that leaves this process is counted.
    pub store: Arc<dyn Store>,
    /// The clock; tests move it by hand.
    pub clock: Clock,
    /// The signing keys.
    pub keys: KeyRing,
    /// For the MAC in refresh tokens.
    pub refresh_key: MacKey,
    /// For the MAC in forms.
    pub csrf_key: MacKey,
    /// For deriving the grant and the code of an interaction.
    pub interaction_key: MacKey,
    /// For encrypting the device cookie.
    pub device_key: EncryptionKey,
    /// For the digests of unknown user names in the audit log.
    audit_name_key: MacKey,
    /// Decrypts the secrets of `client_secret_jwt`.
    pub secret_cipher: SecretCipher,
    /// For pairwise subjects and session ids.
    pub pairwise_key: PairwiseKey,
    /// Hashes passwords, a bounded number at once.
    pub passwords: PasswordHasher,
    /// Fetches documents of clients: key sets, sector identifiers.
    pub fetcher: Arc<OutboundClient>,
    /// The public keys of clients.
    pub client_jwks: JwksCache,
    /// Fetches request objects (`request_uri`), which need no authentication.
    pub request_object_client: OutboundClient,
    /// Sends logout tokens.
    pub logout_client: OutboundClient,
    /// Wakes the logout workers when something was queued.
    pub logout_queued: tokio::sync::Notify,
    /// The audit log and the metrics.
    pub events: Events,
    /// The scopes and APIs of the bootstrap file and those that are always there, without those in the store.
    pub declared: Declared,
    /// All scopes.
    catalogue: ArcSwap<ScopeCatalogue>,
    /// All APIs.
    resources: ArcSwap<ResourceCatalogue>,
    /// The provider metadata, assembled from the endpoints.
    metadata_json: ArcSwap<CachedJson>,
    /// Set on a development installation.
    pub demo_login: Option<DemoLogin>,
    /// Peers outside `TRUSTED_PROXIES` that sent `X-Forwarded-For`, each logged once.
    pub untrusted_proxies: UntrustedForwarders,
    /// Clients that were granted claims and do not fetch them from userinfo.
    pub unused_userinfo: UnusedUserinfo,
    /// The server is shutting down: `/ready` answers 503.
    pub draining: std::sync::atomic::AtomicBool,
}

/// Request objects that are fetched at once. Each holds one of the places of the pages, so it is far fewer than those.
const MAX_REQUEST_OBJECT_FETCHES: usize = 32;
/// Of those, the ones from one host, which may be slow.
const MAX_REQUEST_OBJECT_FETCHES_PER_HOST: usize = 8;
/// At least as many as the logout workers send at once.
const MAX_LOGOUT_REQUESTS: usize = 16;

/// The demo user of a development installation.
#[derive(Clone, Debug)]
pub struct DemoLogin {
    /// The user name.
    pub user: String,
}

impl App {
    /// Assembles the state.
    pub fn new(
        config: Config,
        (store, clock): (Arc<dyn Store>, Clock),
        (keys, root): (KeyRing, &SecretKey),
        fetcher: Arc<OutboundClient>,
        declared: impl Into<Declared>,
        metadata: &ProviderMetadata,
        demo_login: Option<DemoLogin>,
    ) -> Self {
        let declared = declared.into();
        let events = Events::new(clock.clone());
        let counted = events.counters.store.clone();
        let store = Arc::new(InstrumentedStore::new(store, move |ran| counted.record(ran)));
        let counted = events.counters.cache.clone();
        let store = CachedStore::wrap(store, config.cache_ttl, move |noted| counted.record(noted));
        Self(Arc::new(AppState {
            metadata_json: ArcSwap::from_pointee(metadata_document(metadata)),
            catalogue: ArcSwap::from_pointee(declared.scopes.clone()),
            resources: ArcSwap::from_pointee(declared.resources.clone()),
            declared,
            device_key: root.encryption_key(EncryptionPurpose::Device),
            audit_name_key: root.mac_key(MacPurpose::AuditName),
            demo_login,
            passwords: PasswordHasher::new(config.limits.hash_threads, config.limits.hash_queue),
            logout_client: fetcher.with_limits(MAX_LOGOUT_REQUESTS, MAX_LOGOUT_REQUESTS),
            request_object_client: fetcher
                .with_limits(MAX_REQUEST_OBJECT_FETCHES, MAX_REQUEST_OBJECT_FETCHES_PER_HOST),
            logout_queued: tokio::sync::Notify::new(),
            client_jwks: JwksCache::new(Arc::clone(&fetcher)),
            fetcher,
            refresh_key: root.mac_key(MacPurpose::RefreshToken),
            csrf_key: root.mac_key(MacPurpose::Csrf),
            interaction_key: root.mac_key(MacPurpose::Interaction),
            secret_cipher: SecretCipher::new(root),
            pairwise_key: PairwiseKey::new(config.pairwise_salt.as_ref(), root),
            events,
            untrusted_proxies: UntrustedForwarders::default(),
            unused_userinfo: UnusedUserinfo::default(),
            draining: false.into(),
            config,
            store,
            clock,
            keys,
        }))
    }

    /// What an [operation](crate::operations) works with in this process.
    pub fn operation_context(&self, by: Actor) -> Context<'_> {
        Context {
            issuer: self.issuer(),
            store: &*self.store,
            now: self.now(),
            passwords: &self.passwords,
            events: &self.events,
            keys: Some(&self.keys),
            declared: &self.declared,
            by,
        }
    }

    /// All scopes.
    pub fn catalogue(&self) -> Arc<ScopeCatalogue> {
        self.catalogue.load_full()
    }

    /// All APIs.
    pub fn resources(&self) -> Arc<ResourceCatalogue> {
        self.resources.load_full()
    }

    /// The widest scope that an end-user can grant this client.
    pub fn max_scope(&self, client: &Client) -> Scope {
        self.resources().max_scope(client)
    }

    /// The provider metadata.
    pub fn metadata(&self) -> Arc<CachedJson> {
        self.metadata_json.load_full()
    }

    /// Replaces the scopes, and the provider metadata that lists them.
    pub fn replace_scopes(&self, catalogue: ScopeCatalogue, metadata: &ProviderMetadata) {
        self.metadata_json.store(Arc::new(metadata_document(metadata)));
        self.catalogue.store(Arc::new(catalogue));
    }

    /// Replaces the APIs.
    pub fn replace_resources(&self, resources: ResourceCatalogue) {
        self.resources.store(Arc::new(resources));
    }

    /// The current time.
    pub fn now(&self) -> UnixTime {
        self.clock.now()
    }

    /// The issuer identifier, byte for byte as configured.
    pub fn issuer(&self) -> &str {
        self.config.issuer.as_str()
    }

    /// The `sub` that this client sees of the user.
    pub fn subject_for(&self, client: &Client, sub: &Subject) -> Subject {
        self.pairwise_key.subject_for(&client.metadata, sub)
    }

    /// The logo that pages load for this client. A client that registered itself could show the logo of another, and
    /// count visits. So it needs the operator's permission (`registration_logos`), and the logo has to be at the origin
    /// of the redirect URI, which learns of the visit in any case.
    pub fn logo_uri<'a>(&self, client: &'a Client, redirect_uri: Option<&str>) -> Option<&'a str> {
        let logo = client.metadata.logo_uri.as_deref();
        let origin = redirect_uri.map(web_origin);
        let at_home = |logo: &&str| origin.as_ref().is_some_and(|it| *it == web_origin(logo));
        match client.source {
            RegistrationSource::Operator => logo,
            RegistrationSource::Registered => {
                logo.filter(|_| self.config.registration_logos).filter(at_home)
            }
        }
    }

    /// The `sid` that this client sees of the session.
    pub fn sid_for(&self, client: &Client, sid: Uuid) -> String {
        self.pairwise_key.sid_for(&client.metadata, sid)
    }

    /// The lifetimes of sessions.
    pub fn session_lifetimes(&self) -> sessions::SessionLifetimes {
        let lifetimes = &self.config.lifetimes;
        sessions::SessionLifetimes {
            idle: lifetimes.session_idle,
            absolute: lifetimes.session_absolute,
        }
    }

    /// How many failures one address may cause in a minute; `None` without a limit.
    pub fn failures_per_minute(&self) -> Option<u32> {
        self.config.rate_limit.enabled.then_some(self.config.rate_limit.per_minute)
    }

    /// The limits on wrong passwords.
    pub fn guess_limits(&self) -> GuessLimits {
        self.config.rate_limit.into()
    }

    /// A keyed digest that stands in events for an unknown user name: the same for the same name, and useless without
    /// the key.
    pub fn name_digest(&self, typed: &str) -> String {
        let mac = self.audit_name_key.mac(&[users::canonical(typed)]);
        base64url(&mac[..12])
    }

    /// Wakes the logout workers after the end of a session, and records the clients whose notification did not fit into
    /// the queue.
    pub fn notify_logout_workers(&self, notifications: &LogoutNotifications) {
        self.logout_queued.notify_one();
        for client in &notifications.dropped {
            let client = client.as_str();
            let outcome = LogoutDeliveryOutcome::Dropped;
            self.events.record(None, &Event::LogoutNotified { client, outcome });
        }
    }

    /// Records an event that a request from this address caused.
    pub fn record_event(&self, address: IpAddr, event: &Event<'_>) {
        self.events.record(Some(address), event);
    }
}

fn metadata_document(metadata: &ProviderMetadata) -> CachedJson {
    CachedJson::new(serde_json::to_string(metadata).unwrap_or_default())
}

impl Deref for App {
    type Target = AppState;

    fn deref(&self) -> &AppState {
        &self.0
    }
}
