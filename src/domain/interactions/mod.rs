//! The half-finished authorization: a request that waits for a person.
//!
//! It lives in the store under the digest of an unguessable id and belongs to one browser, which got a
//! cookie for it alone: the id in the URL opens nothing, and what other tabs begin changes nothing. Each
//! step writes its own proof here, and only [`decide`] reads them and says what comes next, so no step
//! can be skipped and none can be done for somebody else.

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

/// How long a finished interaction can still say that it was: pages stay open in other tabs.
const FINISHED_RETENTION: Duration = Duration::from_secs(3600);

/// How long the browser that finished one gets the same answer when it asks again: for a second click, and
/// for an answer that was lost on the way. As long as a code lives.
pub const REPEAT_WINDOW: Duration = Duration::from_secs(60);

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
    #[serde(rename = "signed_in")]
    pub signed_in_session: Option<SessionId>,
    /// Under which name: a form that was sent twice makes two sessions of one name, and the browser keeps
    /// one of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[serde(rename = "signed_in_as")]
    pub signed_in_sid: Option<Uuid>,
    /// What was proven in a sign-in that takes more than one method, until the session begins.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub authentication: Option<Authentication>,
    /// The session the person chose to go on with (`prompt=select_account`).
    #[serde(rename = "chosen")]
    pub chosen_session: Option<SessionId>,
    /// What they agreed to, here, and who.
    #[serde(rename = "agreed")]
    pub given_consent: Option<GivenConsent>,
    /// Whether they want to go back without giving anything.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub declined: bool,
    /// Whether it has been answered.
    pub finished: bool,
    /// When, and how. Absent in what an older release finished.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[serde(rename = "answer")]
    pub outcome: Option<InteractionOutcome>,
    /// Whose try that was. Absent in what an older release finished.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finished_by: Option<AttemptId>,
}

/// A yes given within the interaction.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct GivenConsent {
    /// Who.
    pub sub: Subject,
    /// To what.
    pub scope: Scope,
    /// And to which single claims.
    #[serde(default)]
    pub claims: BTreeSet<String>,
    /// And for which APIs.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub resources: BTreeSet<String>,
    /// In which epoch of their consents to this client.
    #[serde(default)]
    pub consent_epoch: Epoch,
}

impl GivenConsent {
    /// Whether this person agreed to all that is asked for.
    pub fn covers(&self, sub: &Subject, request: &AuthorizationRequest, client: &Client) -> bool {
        self.sub == *sub
            && request.scope.is_subset(&self.scope)
            && request.claims.user_claims().iter().all(|claim| self.claims.contains(*claim))
            && request.apis(client).iter().all(|api| self.resources.contains(api))
    }
}

/// What the client was told, so that whoever asks once more is told the same.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct InteractionOutcome {
    /// When.
    pub at: UnixTime,
    /// In the session of which name: another one is not told the same.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sid: Option<Uuid>,
    /// Absent where it got what it asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refused: Option<RefusalCode>,
}

/// The errors that end an interaction.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum RefusalCode {
    /// The person said no.
    AccessDenied,
    /// It is another person than the one asked for.
    LoginRequired,
    /// There is no way to say it to this client.
    ServerError,
}

impl RefusalCode {
    /// The code the client is told.
    pub const fn code(self) -> ErrorCode {
        match self {
            Self::AccessDenied => ErrorCode::AccessDenied,
            Self::LoginRequired => ErrorCode::LoginRequired,
            Self::ServerError => ErrorCode::ServerError,
        }
    }

    /// What is remembered of a refusal; whatever else there may be is our own failure.
    pub const fn from_error(code: ErrorCode) -> Self {
        match code {
            ErrorCode::AccessDenied => Self::AccessDenied,
            ErrorCode::LoginRequired => Self::LoginRequired,
            _ => Self::ServerError,
        }
    }
}

/// How an interaction stands with the browser that shows its id.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum InteractionStatus {
    /// It can go on.
    Open,
    /// It is another browser's.
    Foreign,
    /// It took too long. It can be begun again.
    Expired,
    /// This browser was answered a moment ago.
    Answered(InteractionOutcome),
    /// It was answered, whoever asks.
    Finished,
}

impl Interaction {
    /// A new one for the browser that is given this cookie, and the id that opens it.
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

    /// Whether this is the cookie its browser got.
    pub fn verify_cookie(&self, cookie: &Secret) -> bool {
        self.browser == cookie.digest()
    }

    /// How it stands with a browser that has its cookie, or has not.
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

    /// Whether that session came of a sign-in within it.
    pub fn has_signed_in(&self, session: &Session) -> bool {
        let by_name = self.signed_in_sid == Some(session.sid);
        self.signed_in_session == Some(session.id)
            || by_name && session.authenticated_at >= self.begun_at
    }

    /// Notes a sign-in.
    pub fn record_sign_in(&mut self, session: &Session) {
        self.signed_in_session = Some(session.id);
        self.signed_in_sid = Some(session.sid);
        self.authentication = None;
    }

    /// Whether this try is the one that ended it.
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

    /// Anybody may begin one, so one that was not finished is kept no longer than it lived: for who
    /// comes back late and is offered to start again.
    fn delete_after(&self) -> Option<UnixTime> {
        let lived = self.expires_at.since(self.begun_at);
        Some(self.expires_at.plus(if self.finished { FINISHED_RETENTION } else { lived }))
    }
}

fn key(id: &Digest) -> Key<Interaction> {
    Key::single(Partition::new(format!("interaction:{}", id.to_hex())))
}

/// The interaction of that id, whoever asks.
pub async fn find(store: &dyn Store, id: &Secret) -> Result<Option<Interaction>, StoreError> {
    Ok(store.load(&key(&id.digest())).await?.map(|loaded| loaded.record))
}

/// Writes a step's proof into the interaction; `false` if it is gone or answered by now.
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

/// Notes that the person said no, whatever was said before: what was answered already is not told again.
pub async fn decline(store: &dyn Store, id: &Secret) -> Result<(), StoreError> {
    let step = |it: &mut Interaction| it.declined = true;
    store.update(&key(&id.digest()), step).await.map(drop)
}

/// Ends the interaction: of all who try, one is told `true`, and only that one may answer. A try whose
/// reply was lost is made once more under its own name, and finds itself.
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
