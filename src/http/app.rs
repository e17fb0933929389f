//! What every room may reach: one value, cloned cheaply.

use std::net::IpAddr;
use std::ops::Deref;
use std::sync::Arc;

use arc_swap::ArcSwap;
use uuid::Uuid;

use crate::config::Config;
use crate::domain::authenticators::GuessLimits;
use crate::domain::clients::key_cache::KeyCache;
use crate::domain::clients::unasked::Unasked;
use crate::domain::clients::vault::Vault;
use crate::domain::clients::{Client, Source};
use crate::domain::events::{Actor, Event, Events, LogoutDeliveryOutcome};
use crate::domain::keys::KeyRing;
use crate::domain::logout_notifications::Told;
use crate::domain::pairwise::PairwiseKey;
use crate::domain::resources::{Declared, ResourceCatalogue};
use crate::domain::sessions;
use crate::domain::users;
use crate::http::cacheable::Document;
use crate::infra::client_ip::UntrustedForwarders;
use crate::infra::clock::{Clock, UnixTime};
use crate::infra::outbound::OutboundClient;
use crate::infra::password::PasswordHasher;
use crate::infra::secret::base64url;
use crate::infra::secret_key::{MacKey, Purpose, SecretKey};
use crate::infra::store::{CachedStore, InstrumentedStore, Store};
use crate::operations::Context;
use crate::protocol::claims::ScopeCatalogue;
use crate::protocol::redirect_uri::web_origin;
use crate::protocol::{ProviderMetadata, Scope, Subject};

/// The running house.
#[derive(Clone)]
pub struct App(Arc<Parts>);

/// What the house is made of.
pub struct Parts {
    /// What the operator decided.
    pub config: Config,
    /// Where everything is remembered; every command that leaves this process is counted.
    pub store: Arc<dyn Store>,
    /// What time it is.
    pub clock: Clock,
    /// What signs.
    pub keys: KeyRing,
    /// The MAC in refresh tokens.
    pub refresh_key: MacKey,
    /// The MAC in forms.
    pub csrf_key: MacKey,
    /// What the answer to an interaction follows from.
    pub interaction_key: MacKey,
    /// What seals the cookie of a browser that is known.
    pub device_key: MacKey,
    /// What the digests of user names that nobody has are made with.
    audit_name_key: MacKey,
    /// What opens the secrets of `client_secret_jwt`.
    pub vault: Vault,
    /// What pairwise subjects are made with.
    pub pairwise_key: PairwiseKey,
    /// Who may hash.
    pub passwords: PasswordHasher,
    /// Fetches what clients keep elsewhere.
    pub fetcher: Arc<OutboundClient>,
    /// The public keys of clients.
    pub client_keys: KeyCache,
    /// Fetches request objects, which anybody can ask for.
    pub request_objects: OutboundClient,
    /// Tells clients what they asked to be told.
    pub outgoing: OutboundClient,
    /// Rung when a logout was queued for them.
    pub logout_queued: tokio::sync::Notify,
    /// Who is told what happens.
    pub events: Events,
    /// The scopes and APIs there are without those that were added to the store.
    pub declared: Declared,
    /// The scopes there are.
    catalogue: ArcSwap<ScopeCatalogue>,
    /// The APIs there are.
    resources: ArcSwap<ResourceCatalogue>,
    /// What discovery says; assembled from the rooms.
    metadata_json: ArcSwap<Document>,
    /// How to try this installation, where it is one for trying.
    pub trial: Option<Trial>,
    /// Who was told in the log for speaking for others.
    pub unbelieved: UntrustedForwarders,
    /// Which clients never ask for what they were granted.
    pub unasked: Unasked,
    /// Whether it is time to go: `/ready` says no from then on.
    pub draining: std::sync::atomic::AtomicBool,
}

/// Request objects that are fetched at once, each for somebody who has a place before the pages: far fewer
/// than those are, and few of them for any one host, which may be slow.
const REQUEST_OBJECTS: usize = 32;
/// From one host.
const REQUEST_OBJECTS_PER_HOST: usize = 8;
/// The couriers bound themselves.
const OUTGOING: usize = 16;

/// A demo user and client to try a development installation with.
#[derive(Clone, Debug)]
pub struct Trial {
    /// Who can sign in.
    pub user: String,
}

impl App {
    /// Puts the house together.
    pub fn new(
        config: Config,
        (store, clock): (Arc<dyn Store>, Clock),
        (keys, root): (KeyRing, &SecretKey),
        fetcher: Arc<OutboundClient>,
        declared: impl Into<Declared>,
        metadata: &ProviderMetadata,
        trial: Option<Trial>,
    ) -> Self {
        let declared = declared.into();
        let events = Events::new(clock.clone());
        let counted = events.counters.store.clone();
        let store = Arc::new(InstrumentedStore::new(store, move |ran| counted.ran(ran)));
        let counted = events.counters.cache.clone();
        let store = CachedStore::wrap(store, config.cache_ttl, move |noted| counted.noted(noted));
        Self(Arc::new(Parts {
            metadata_json: ArcSwap::from_pointee(document(metadata)),
            catalogue: ArcSwap::from_pointee(declared.scopes.clone()),
            resources: ArcSwap::from_pointee(declared.resources.clone()),
            declared,
            device_key: root.derive(Purpose::Device),
            audit_name_key: root.derive(Purpose::AuditName),
            trial,
            passwords: PasswordHasher::new(config.limits.hash_threads, config.limits.hash_queue),
            outgoing: fetcher.with_limits(OUTGOING, OUTGOING),
            request_objects: fetcher.with_limits(REQUEST_OBJECTS, REQUEST_OBJECTS_PER_HOST),
            logout_queued: tokio::sync::Notify::new(),
            client_keys: KeyCache::new(Arc::clone(&fetcher)),
            fetcher,
            refresh_key: root.derive(Purpose::RefreshToken),
            csrf_key: root.derive(Purpose::Csrf),
            interaction_key: root.derive(Purpose::Interaction),
            vault: Vault::new(root),
            pairwise_key: PairwiseKey::new(config.pairwise_salt.as_ref(), root),
            events,
            unbelieved: UntrustedForwarders::default(),
            unasked: Unasked::default(),
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

    /// The scopes there are.
    pub fn catalogue(&self) -> Arc<ScopeCatalogue> {
        self.catalogue.load_full()
    }

    /// The APIs there are.
    pub fn resources(&self) -> Arc<ResourceCatalogue> {
        self.resources.load_full()
    }

    /// The most this client can be granted by a person.
    pub fn scope_ceiling(&self, client: &Client) -> Scope {
        self.resources().ceiling(client)
    }

    /// What discovery says.
    pub fn metadata(&self) -> Arc<Document> {
        self.metadata_json.load_full()
    }

    /// From now on these are the scopes, and that is what discovery says of them.
    pub fn take_in_scopes(&self, catalogue: ScopeCatalogue, metadata: &ProviderMetadata) {
        self.metadata_json.store(Arc::new(document(metadata)));
        self.catalogue.store(Arc::new(catalogue));
    }

    /// From now on these are the APIs.
    pub fn take_in_resources(&self, resources: ResourceCatalogue) {
        self.resources.store(Arc::new(resources));
    }

    /// The present.
    pub fn now(&self) -> UnixTime {
        self.clock.now()
    }

    /// The issuer identifier, byte for byte as configured.
    pub fn issuer(&self) -> &str {
        self.config.issuer.as_str()
    }

    /// As whom this client knows the person: the `sub` of everything that is made for it.
    pub fn seen_by(&self, client: &Client, sub: &Subject) -> Subject {
        self.pairwise_key.seen_by(&client.metadata, sub)
    }

    /// The logo that pages load for this client. One that registered itself may show a picture of somebody
    /// else's, and count visits, so it takes the operator's word, and only the host that is told of the
    /// visit in any case: the one that the answer goes to.
    pub fn logo_uri<'a>(&self, client: &'a Client, redirect_uri: Option<&str>) -> Option<&'a str> {
        let logo = client.metadata.logo_uri.as_deref();
        let origin = redirect_uri.map(web_origin);
        let at_home = |logo: &&str| origin.as_ref().is_some_and(|it| *it == web_origin(logo));
        match client.source {
            Source::Operator => logo,
            Source::Registered => logo.filter(|_| self.config.registration_logos).filter(at_home),
        }
    }

    /// By what name this client knows the session: its `sid`.
    pub fn session_seen_by(&self, client: &Client, sid: Uuid) -> String {
        self.pairwise_key.session_seen_by(&client.metadata, sid)
    }

    /// How long sessions live.
    pub fn session_limits(&self) -> sessions::Limits {
        let lifetimes = &self.config.lifetimes;
        sessions::Limits { idle: lifetimes.session_idle, absolute: lifetimes.session_absolute }
    }

    /// Failures one address may make in a minute, if that is limited.
    pub fn per_minute(&self) -> Option<u32> {
        self.config.rate_limit.enabled.then_some(self.config.rate_limit.per_minute)
    }

    /// How many guesses at passwords are answered.
    pub fn guess_limits(&self) -> GuessLimits {
        self.config.rate_limit.into()
    }

    /// What stands in events for a user name that nobody has: the same for the same name, and no way back to
    /// it without our key.
    pub fn name_digest(&self, typed: &str) -> String {
        let mac = self.audit_name_key.mac(&[users::canonical(typed)]);
        base64url(&mac[..12])
    }

    /// Sends the couriers with what was queued at the end of a session, and tells what was not.
    pub fn was_told(&self, told: &Told) {
        self.logout_queued.notify_one();
        for client in &told.dropped {
            let client = client.as_str();
            let outcome = LogoutDeliveryOutcome::Dropped;
            self.events.tell(None, &Event::LogoutTold { client, outcome });
        }
    }

    /// Tells what happened.
    pub fn tell(&self, address: IpAddr, event: &Event<'_>) {
        self.events.tell(Some(address), event);
    }
}

fn document(metadata: &ProviderMetadata) -> Document {
    Document::new(serde_json::to_string(metadata).unwrap_or_default())
}

impl Deref for App {
    type Target = Parts;

    fn deref(&self) -> &Parts {
        &self.0
    }
}
