//! An interaction: an authorization request that waits for its end-user.
//!
//! It is stored under the digest of an unguessable id and belongs to one browser, which has a cookie for this
//! interaction alone: the id in the URL gives no access, and other tabs change nothing. Each step stores its
//! result here, and only [`decide`] reads the results and says what comes next, so no step can be skipped, and
//! none can be done by another browser.

mod decide;
mod derived;

use std::collections::BTreeSet;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

pub use self::decide::{DecisionInput, NextStep, Step, StopReason, decide};
pub use self::derived::{authorization_code, csrf_token, session_sid, verify_csrf_token};
use crate::domain::authenticators::Authentication;
use crate::domain::authorization_request::AuthorizationRequest;
use crate::domain::clients::Client;
use crate::domain::epoch::Epoch;
use crate::domain::grants::AttemptId;
use crate::domain::sessions::{Session, SessionId};
use crate::infra::clock::UnixTime;
use crate::infra::secret::{Digest, Secret};
use crate::infra::store::{Key, Partition, Record, Store, StoreError};
use crate::protocol::{ErrorCode, Scope, Subject};

/// How long a finished interaction is kept, to say so to pages that are open in other tabs.
const FINISHED_RETENTION: Duration = Duration::from_secs(3600);

/// How long the browser that finished an interaction gets the same response again, after a second click or a
/// lost response. As long as a code lives.
pub const REPEAT_WINDOW: Duration = Duration::from_secs(60);

/// An authorization request on its way.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Interaction {
    id: Digest,
    browser: Digest,
    pub request: AuthorizationRequest,
    pub begun_at: UnixTime,
    /// The end of the time in which it may be finished.
    pub expires_at: UnixTime,
    /// The session that began in this interaction.
    #[serde(rename = "signed_in")]
    pub signed_in_session: Option<SessionId>,
    /// The `sid` of that session: a form that was sent twice makes two sessions with one `sid`, and the browser
    /// keeps one of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[serde(rename = "signed_in_as")]
    pub signed_in_sid: Option<Uuid>,
    /// What was proven in a sign-in that takes more than one method, until the session begins.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub authentication: Option<Authentication>,
    /// The session that the user chose to continue with (`prompt=select_account`).
    #[serde(rename = "chosen")]
    pub chosen_session: Option<SessionId>,
    /// The consent given in this interaction.
    #[serde(rename = "agreed")]
    pub given_consent: Option<GivenConsent>,
    /// The user cancelled or denied.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub declined: bool,
    /// The client has been answered.
    pub finished: bool,
    /// Absent in what an older release finished.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[serde(rename = "answer")]
    pub outcome: Option<InteractionOutcome>,
    /// The attempt that finished it. Absent in what an older release finished.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finished_by: Option<AttemptId>,
}

/// A consent that was given within the interaction.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct GivenConsent {
    pub sub: Subject,
    pub scope: Scope,
    /// Claims that were asked for by name.
    #[serde(default)]
    pub claims: BTreeSet<String>,
    /// APIs, by their resource identifiers.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub resources: BTreeSet<String>,
    /// The epoch of the user's consents to this client: a withdrawal since then voids this one.
    #[serde(default)]
    pub consent_epoch: Epoch,
}

impl GivenConsent {
    /// Whether it is this user's, and covers the whole request.
    pub fn covers(&self, sub: &Subject, request: &AuthorizationRequest, client: &Client) -> bool {
        self.sub == *sub
            && request.scope.is_subset(&self.scope)
            && request.claims.user_claims().iter().all(|claim| self.claims.contains(*claim))
            && request.apis(client).iter().all(|api| self.resources.contains(api))
    }
}

/// How the client was answered, so that the same browser can be answered alike again.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct InteractionOutcome {
    pub at: UnixTime,
    /// The session it was answered in; another one is not answered alike.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sid: Option<Uuid>,
    /// The error; absent after a success.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refused: Option<RefusalCode>,
}

/// The errors that end an interaction.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum RefusalCode {
    /// The user denied or cancelled.
    AccessDenied,
    /// Another user signed in than the request names.
    LoginRequired,
    /// The tokens could not be encrypted for the client.
    ServerError,
}

impl RefusalCode {
    /// The `error` of the response.
    pub const fn code(self) -> ErrorCode {
        match self {
            Self::AccessDenied => ErrorCode::AccessDenied,
            Self::LoginRequired => ErrorCode::LoginRequired,
            Self::ServerError => ErrorCode::ServerError,
        }
    }

    /// What is stored of an error; any other counts as our own failure.
    pub const fn from_error(code: ErrorCode) -> Self {
        match code {
            ErrorCode::AccessDenied => Self::AccessDenied,
            ErrorCode::LoginRequired => Self::LoginRequired,
            _ => Self::ServerError,
        }
    }
}

/// What the browser that presents the interaction's id may do with it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum InteractionStatus {
    /// Continue.
    Open,
    /// Nothing: it is another browser's.
    Foreign,
    /// Start again: it took too long.
    Expired,
    /// Get the same response again: it was answered less than `REPEAT_WINDOW` ago.
    Answered(InteractionOutcome),
    /// Nothing: it was answered before that, or for another browser.
    Finished,
}

impl Interaction {
    /// A new interaction of the browser that is given this cookie, and the id for its URLs.
    pub fn begin(
        request: AuthorizationRequest,
        cookie: &Secret,
        lifetime: Duration,
        now: UnixTime,
    ) -> (Self, Secret) {
        let id = Secret::random();
        let interaction = Self {
            id: id.digest(),
            browser: cookie.digest(),
            request,
            begun_at: now,
            expires_at: now.plus(lifetime),
            signed_in_session: None,
            signed_in_sid: None,
            authentication: None,
            chosen_session: None,
            given_consent: None,
            declined: false,
            finished: false,
            outcome: None,
            finished_by: None,
        };
        (interaction, id)
    }

    /// Whether this is the cookie that its browser was given.
    pub fn verify_cookie(&self, cookie: &Secret) -> bool {
        self.browser == cookie.digest()
    }

    /// Its status for a browser; `own`: the browser sent the interaction's cookie.
    pub fn status(&self, own: bool, now: UnixTime) -> InteractionStatus {
        match self.outcome {
            Some(answer) if own && now < answer.at.plus(REPEAT_WINDOW) => {
                InteractionStatus::Answered(answer)
            }
            Some(_) => InteractionStatus::Finished,
            None if self.finished => InteractionStatus::Finished,
            None if !own => InteractionStatus::Foreign,
            None if self.expires_at <= now => InteractionStatus::Expired,
            None => InteractionStatus::Open,
        }
    }

    /// Whether that session began in this interaction.
    pub fn has_signed_in(&self, session: &Session) -> bool {
        let by_name = self.signed_in_sid == Some(session.sid);
        self.signed_in_session == Some(session.id)
            || by_name && session.authenticated_at >= self.begun_at
    }

    /// The session has begun in this interaction.
    pub fn record_sign_in(&mut self, session: &Session) {
        self.signed_in_session = Some(session.id);
        self.signed_in_sid = Some(session.sid);
        self.authentication = None;
    }

    /// Finishes it unless it is finished; `true` if this attempt is the one that did.
    fn finish(&mut self, attempt: AttemptId, answer: InteractionOutcome) -> bool {
        if !self.finished {
            self.finished = true;
            self.outcome = Some(answer);
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

    /// Anybody may begin an interaction, so an unfinished one is kept for twice its lifetime only: a browser
    /// that comes back late is offered to start again.
    fn delete_after(&self) -> Option<UnixTime> {
        let lived = self.expires_at.since(self.begun_at);
        Some(self.expires_at.plus(if self.finished { FINISHED_RETENTION } else { lived }))
    }
}

fn key(id: &Digest) -> Key<Interaction> {
    Key::single(Partition::new(format!("interaction:{}", id.to_hex())))
}

/// The interaction with that id, whichever browser asks.
pub async fn find(store: &dyn Store, id: &Secret) -> Result<Option<Interaction>, StoreError> {
    Ok(store.load(&key(&id.digest())).await?.map(|loaded| loaded.record))
}

/// Stores the result of a step; `false` if the interaction is gone or finished by now.
pub async fn update_open(
    store: &dyn Store,
    id: &Secret,
    mut change: impl FnMut(&mut Interaction) + Send,
) -> Result<bool, StoreError> {
    let key = key(&id.digest());
    let updated = store.update(&key, |it: &mut Interaction| {
        if it.finished {
            return false;
        }
        change(it);
        true
    });
    Ok(updated.await?.unwrap_or(false))
}

/// Stores that the user denied, also in a finished interaction: its response is not given again then.
pub async fn decline(store: &dyn Store, id: &Secret) -> Result<(), StoreError> {
    let step = |it: &mut Interaction| it.declined = true;
    store.update(&key(&id.digest()), step).await.map(drop)
}

/// Finishes the interaction. Of concurrent attempts one gets `true`, and only that one may answer the client. If
/// the store's reply was lost, the attempt is made once more and recognises itself by its id.
pub async fn finish(
    store: &dyn Store,
    id: &Secret,
    attempt: AttemptId,
    answer: InteractionOutcome,
) -> Result<bool, StoreError> {
    let key = key(&id.digest());
    let step = |it: &mut Interaction| it.finish(attempt, answer);
    let finished = match store.update(&key, step).await {
        Err(StoreError::Unavailable(_)) => {
            store.update_acknowledged(&key, step, |own| *own).await?
        }
        other => other?,
    };
    Ok(finished.unwrap_or(false))
}
