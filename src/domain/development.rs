//! Users and clients that a development installation made, and that must not be active on a public issuer: an
//! operator who tries Latchkey on a loopback issuer and then goes public keeps the store, and with it a demo
//! account whose password was printed into a log.
//!
//! They are marked in their records. On an issuer that is not a loopback one they are disabled in the store, at
//! every start and after every command: from then on no session, code or token of theirs is accepted.

use serde::{Deserialize, Serialize};

use crate::domain::clients::{self, ClientId};
use crate::domain::epoch::{self, EpochOwner};
use crate::domain::users::{self, User};
use crate::infra::clock::UnixTime;
use crate::infra::store::{Partition, RawKey, Store, StoreError};
use crate::protocol::Subject;

/// The demo client's id.
pub const DEMO_CLIENT_ID: &str = "demo";

/// The users and clients that are disabled because development made them.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct DisabledAccounts {
    pub users: Vec<String>,
    pub clients: Vec<String>,
}

impl DisabledAccounts {
    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.users.is_empty() && self.clients.is_empty()
    }

    /// The warning for the operator, with the commands that remove them.
    pub fn warning(&self) -> String {
        let user = |name: &String| format!("user {name}");
        let client = |id: &String| format!("client {id}");
        let all: Vec<_> =
            self.users.iter().map(user).chain(self.clients.iter().map(client)).collect();
        format!(
            "made by development and off, because ISSUER_URL is not a loopback one: {}; \
             `latchkey user remove` and `latchkey client remove` take them away",
            all.join(", ")
        )
    }
}

/// The marked users by subject, so that a server need not read all users to find them.
fn index() -> RawKey {
    RawKey::new(Partition::new("development"), "index.v1", None)
}

/// Adds a user to the index; before the record is marked, so that none is missed.
pub async fn mark_user(store: &dyn Store, sub: &Subject) -> Result<(), StoreError> {
    store.index_add(&index(), sub.as_str()).await
}

/// Disables the marked users and the demo client, and revokes what they were given. Returns all that are still
/// there.
pub async fn disable_all(store: &dyn Store, now: UnixTime) -> Result<DisabledAccounts, StoreError> {
    let mut off = DisabledAccounts { users: disable_users(store, now).await?, clients: Vec::new() };
    let Some(id) = ClientId::parse(DEMO_CLIENT_ID) else { return Ok(off) };
    let found = clients::find(store, &id).await?.filter(|client| client.development);
    if let Some(client) = found {
        if client.enabled {
            clients::update(store, &id, |client| client.enabled &= !client.development).await?;
            epoch::raise(store, &EpochOwner::Client(id), now).await?;
        }
        off.clients.push(DEMO_CLIENT_ID.to_owned());
    }
    Ok(off)
}

async fn disable_users(store: &dyn Store, now: UnixTime) -> Result<Vec<String>, StoreError> {
    let (mut off, mut after) = (Vec::new(), String::new());
    loop {
        let page = store.scan_index(&index(), &after, 200).await?;
        for name in &page {
            let found = match Subject::parse(name) {
                Some(sub) => users::find(store, &sub).await?,
                None => None,
            };
            match found.filter(|user| user.development) {
                Some(user) => {
                    if user.enabled {
                        let step = |user: &mut User| user.enabled &= !user.development;
                        users::update(store, &user.sub, step).await?;
                        epoch::raise(store, &EpochOwner::User(user.sub), now).await?;
                    }
                    off.push(user.username);
                }
                // The index may list too many: the reader prunes.
                None => store.index_remove(&index(), name).await?,
            }
        }
        let Some(last) = page.last().cloned() else { return Ok(off) };
        after = last;
    }
}
