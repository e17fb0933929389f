//! The half-finished authorization: a request that waits for a person.
//!
//! It lives in the store under the digest of an unguessable id and belongs to one browser: the id in
//! the URL alone opens nothing. Each step writes its own proof here, and only `authorize` reads them
//! and decides what comes next, so no step can be skipped and none can be done for somebody else.

mod decide;

use std::collections::BTreeSet;
use std::time::Duration;

use serde::{Deserialize, Serialize};

pub use self::decide::{Known, Next, decide};
use crate::clock::UnixTime;
use crate::grants::Attempt;
use crate::protocol::{Scope, Subject};
use crate::requests::AuthorizationRequest;
use crate::secret::{Digest, Secret};
use crate::secret_key::MacKey;
use crate::sessions::SessionId;
use crate::store::{Key, Partition, Record, Store, StoreError};

/// How long a finished interaction can still say that it was: pages stay open in other tabs.
const AFTERLIFE: Duration = Duration::from_secs(3600);

/// An authorization request on its way.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Interaction {
    id: Digest,
    browser: Digest,
    /// What was asked.
    pub request: AuthorizationRequest,
    /// When.
    pub begun_at: UnixTime,
    /// Until when it may be finished.
    pub expires_at: UnixTime,
    /// Who signed in for it, here.
    pub signed_in: Option<SessionId>,
    /// The session the person chose to go on with (`prompt=select_account`).
    pub chosen: Option<SessionId>,
    /// What they agreed to, here, and who.
    pub agreed: Option<Agreed>,
    /// Whether it has been answered.
    pub finished: bool,
    /// Whose try that was. Absent in what an older release finished.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finished_by: Option<Attempt>,
}

/// A yes given within the interaction.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Agreed {
    /// Who.
    pub sub: Subject,
    /// To what.
    pub scope: Scope,
    /// And to which single claims.
    #[serde(default)]
    pub claims: BTreeSet<String>,
}

impl Agreed {
    /// Whether this person agreed to all that is asked for.
    pub fn covers(&self, sub: &Subject, request: &AuthorizationRequest) -> bool {
        self.sub == *sub
            && request.scope.is_within(&self.scope)
            && request.claims.names().iter().all(|claim| self.claims.contains(*claim))
    }
}

/// Why an interaction cannot go on.
#[derive(Clone, Debug, PartialEq)]
pub enum Stale {
    /// There is none of that id, or it is another browser's.
    Unknown,
    /// It took too long. It can be begun again.
    Expired(Box<AuthorizationRequest>),
    /// It was answered already, in another tab or by a second click.
    Finished(Box<AuthorizationRequest>),
}

impl Interaction {
    /// A new one for this browser, and the id that opens it.
    pub fn begin(
        request: AuthorizationRequest,
        browser: &Secret,
        lifetime: Duration,
        now: UnixTime,
    ) -> (Self, Secret) {
        let id = Secret::random();
        let interaction = Self {
            id: id.digest(),
            browser: browser.digest(),
            request,
            begun_at: now,
            expires_at: now.plus(lifetime),
            signed_in: None,
            chosen: None,
            agreed: None,
            finished: false,
            finished_by: None,
        };
        (interaction, id)
    }

    /// Whether this try is the one that ended it.
    fn finish(&mut self, attempt: Attempt) -> bool {
        if !self.finished {
            self.finished = true;
            self.finished_by = Some(attempt);
        }
        self.finished_by == Some(attempt)
    }
}

impl Record for Interaction {
    const KIND: &'static str = "interaction.v1";

    fn key(&self) -> Key<Self> {
        key(&self.id)
    }

    /// Anybody may begin one, so one that was not finished is kept no longer than it lived: for who
    /// comes back late and is offered to start again.
    fn forget_at(&self) -> Option<UnixTime> {
        let lived = self.expires_at.since(self.begun_at);
        Some(self.expires_at.plus(if self.finished { AFTERLIFE } else { lived }))
    }
}

fn key(id: &Digest) -> Key<Interaction> {
    Key::sole(Partition::new(format!("interaction:{}", id.to_hex())))
}

/// The interaction of that id, if it belongs to this browser and can still go on.
pub async fn find(
    store: &dyn Store,
    id: &Secret,
    browser: Option<&Secret>,
    now: UnixTime,
) -> Result<Result<Interaction, Stale>, StoreError> {
    let Some(browser) = browser else { return Ok(Err(Stale::Unknown)) };
    let Some(loaded) = store.load(&key(&id.digest())).await? else {
        return Ok(Err(Stale::Unknown));
    };
    let it = loaded.record;
    Ok(if it.browser != browser.digest() {
        Err(Stale::Unknown)
    } else if it.finished {
        Err(Stale::Finished(Box::new(it.request)))
    } else if it.expires_at <= now {
        Err(Stale::Expired(Box::new(it.request)))
    } else {
        Ok(it)
    })
}

/// Writes a step's proof into the interaction; `false` if it is gone or answered by now.
pub async fn note(
    store: &dyn Store,
    id: &Secret,
    mut proof: impl FnMut(&mut Interaction) + Send,
) -> Result<bool, StoreError> {
    let key = key(&id.digest());
    let noted = store.update(&key, |it: &mut Interaction| {
        if it.finished {
            return false;
        }
        proof(it);
        true
    });
    Ok(noted.await?.unwrap_or(false))
}

/// Ends the interaction: of all who try, one is told `true`, and only that one may answer. A try whose
/// reply was lost is made once more under its own name, and finds itself.
pub async fn finish(store: &dyn Store, id: &Secret, attempt: Attempt) -> Result<bool, StoreError> {
    let key = key(&id.digest());
    let step = |it: &mut Interaction| it.finish(attempt);
    let finished = match store.update(&key, step).await {
        Err(StoreError::Unavailable(_)) => store.update(&key, step).await?,
        other => other?,
    };
    Ok(finished.unwrap_or(false))
}

/// The token that a form of this interaction carries; bound to the browser and to the form.
pub fn csrf(key: &MacKey, id: &Secret, browser: &Secret, form: &str) -> String {
    let parts = [form.to_owned(), id.reveal(), browser.reveal()];
    crate::secret::base64url(&key.mac(&parts))
}

/// Whether the token is the one [`csrf`] made; in constant time.
pub fn csrf_fits(key: &MacKey, id: &Secret, browser: &Secret, form: &str, shown: &str) -> bool {
    let parts = [form.to_owned(), id.reveal(), browser.reveal()];
    crate::secret::from_base64url(shown).is_some_and(|shown| key.verifies(&parts, &shown))
}
