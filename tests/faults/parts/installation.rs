//! What all servers of one issuer share: its name, its secret key, its users and clients.

use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;

use latchkey::infra::password::{Password, PasswordHasher};
use tempfile::TempDir;
use tokio::sync::OnceCell;

use super::redis::free_port;
use super::server::{Server, ServerPlan};
use crate::client::ConfidentialClient;

/// What everybody here signs in with.
pub const PASSWORD: &str = "correct horse battery";

/// How many people and how many applications there are.
pub const USER_COUNT: usize = 8;
const CLIENT_COUNT: usize = 2;

const SECRET_KEY: &str = "only-for-tests-only-for-tests-only-for-test";

/// An issuer without a server yet. Nobody listens at the port in its name: clients go to the servers'
/// own ports and say its name in `Host`.
pub struct Installation {
    issuer: String,
    folder: TempDir,
    clients: Vec<Arc<ConfidentialClient>>,
}

impl Installation {
    /// Eight people, `p0` to `p7`, and two confidential first-party applications.
    pub async fn new() -> Self {
        Self::with_bootstrap("").await
    }

    /// With more of a bootstrap file.
    pub async fn with_bootstrap(more: &str) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let shops: Vec<_> =
            (0..CLIENT_COUNT).map(|number| Arc::new(ConfidentialClient::new(number))).collect();
        let text = format!("{}{more}", bootstrap(&shops).await);
        let path = folder.path().join("bootstrap.toml");
        std::fs::write(&path, text).expect("a file in the folder");
        let issuer = format!("http://localhost:{}", free_port());
        Self { issuer, folder, clients: shops }
    }

    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// What stands in `Host`.
    pub fn host(&self) -> &str {
        self.issuer.trim_start_matches("http://")
    }

    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub fn client(&self, number: usize) -> &Arc<ConfidentialClient> {
        &self.clients[number % self.clients.len()]
    }

    /// A server on this store (`redis://…`, `file:…`), not started yet.
    pub fn plan(&self, store: &str) -> ServerPlan {
        let port = free_port();
        let folder = self.folder.path().join(port.to_string());
        std::fs::create_dir_all(&folder).expect("a folder");
        let bootstrap = self.folder.path().join("bootstrap.toml");
        let plan = ServerPlan::new(port, &folder, self.host())
            .set("ISSUER_URL", &self.issuer)
            .set("SECRET_KEY", SECRET_KEY)
            .set("BOOTSTRAP_FILE", bootstrap.to_str().expect("a readable path"))
            .set("RATE_LIMITING_ENABLED", "false")
            .set("DEV_GUESS_LIMITS_ENABLED", "false")
            .set("MAX_CONNECTIONS_PER_ADDRESS", "4096");
        let name = if store.starts_with("redis") { "REDIS_URL" } else { "STORE_URL" };
        plan.set(name, store)
    }

    /// A server on this store, ready.
    pub async fn start_server(&self, store: &str) -> Arc<Server> {
        self.plan(store).start().await
    }

    /// So many servers on one store, ready.
    pub async fn start_servers(&self, count: usize, store: &str) -> Vec<Arc<Server>> {
        let mut servers = Vec::new();
        for _ in 0..count {
            servers.push(self.start_server(store).await);
        }
        servers
    }
}

/// Somebody's name, which is their `sub`, too.
pub fn username(number: usize) -> String {
    format!("p{}", number % USER_COUNT)
}

async fn bootstrap(shops: &[Arc<ConfidentialClient>]) -> String {
    static HASH: OnceCell<String> = OnceCell::const_new();
    let make = async || {
        let password = Password::parse(PASSWORD).expect("a password");
        PasswordHasher::new(1, 8).hash(password).await.expect("a hash")
    };
    let hash = HASH.get_or_init(make).await;
    let mut text = String::new();
    for number in 0..USER_COUNT {
        let name = username(number);
        let _ = writeln!(
            text,
            "[[users]]\nusername = \"{name}\"\nsub = \"{name}\"\npassword_hash = \"{hash}\""
        );
    }
    for shop in shops {
        let _ = writeln!(
            text,
            "[[clients]]\nclient_id = \"{}\"\nclient_secret = \"{}\"\nclient_name = \"Shop\"\n\
             redirect_uris = [\"{}\"]\ngrant_types = [\"authorization_code\", \"refresh_token\", \
             \"client_credentials\"]\nscope = \"openid profile offline_access\"\n\
             [clients.settings]\nfirst_party = true",
            shop.id, shop.secret, shop.redirect_uri
        );
    }
    text
}
