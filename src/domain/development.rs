//! What a development installation made, and what becomes of it elsewhere: whoever tries Latchkey on a
//! loopback issuer and then goes public keeps the store, and with it a demo account whose password was printed
//! into a log.
//!
//! Such people and clients are marked in their records. On an issuer that is not a loopback one they are
//! switched off in the store, at every start and after whatever the command line did to them: from then on no
//! session, code or token of theirs is good, for every path asks whether they are enabled.

use serde::{Deserialize, Serialize};

use crate::domain::clients::{self, ClientId};
use crate::domain::epoch::{self, EpochOwner};
use crate::domain::users::{self, User};
use crate::infra::clock::UnixTime;
use crate::infra::store::{Partition, RawKey, Store, StoreError};
use crate::protocol::Subject;

/// The demo client's id.
pub const DEMO_CLIENT_ID: &str = "demo";

/// What is off because development made it.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct DisabledAccounts {
    /// User names.
    pub users: Vec<String>,
    /// Client ids.
    pub clients: Vec<String>,
}

impl DisabledAccounts {
    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.users.is_empty() && self.clients.is_empty()
    }

    /// A sentence for the operator, with the way to be rid of them.
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

/// Users by subject: a public server must find them without looking at everybody.
fn index() -> RawKey {
    RawKey::new(Partition::new("development"), "index.v1", None)
}

/// Notes that development made this person; before the record is marked, so that none is missed.
pub async fn mark_user(store: &dyn Store, sub: &Subject) -> Result<(), StoreError> {
    store.index_add(&index(), sub.as_str()).await
}

/// Switches off whoever development made, and ends for good what they were given; answers everybody it made
/// who is still there.
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
                // The index may list too much: the reader prunes.
                None => store.index_remove(&index(), name).await?,
            }
        }
        let Some(last) = page.last().cloned() else { return Ok(off) };
        after = last;
    }
}
