//! Operations on the signing keys.

use serde::{Deserialize, Serialize};

use super::{Context, Operation, OperationError};
use crate::domain::events::Event;
use crate::domain::keys::{Activation, KeyInfo, KeyRing, Phase, RingError};
use crate::infra::clock::UnixTime;

/// Lists every key with its phase.
#[derive(Debug, Deserialize, Serialize)]
pub struct List {}

/// The public keys as a JWK Set.
#[derive(Debug, Deserialize, Serialize)]
pub struct Jwks {}

/// Gives every algorithm a new key.
#[derive(Debug, Deserialize, Serialize)]
pub struct Rotate {
    /// Whether it signs as soon as every server has it.
    pub now: bool,
}

/// Removes a key from the key ring at once.
#[derive(Debug, Deserialize, Serialize)]
pub struct Remove {
    pub kid: String,
}

/// A key as operators see it, without its private half.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct KeyView {
    pub kid: String,
    /// Its algorithm.
    pub alg: String,
    /// Its [phase](crate::domain::keys::Phase).
    pub phase: String,
    /// Since when, or from when, it signs.
    pub begins_at: UnixTime,
}

impl From<KeyInfo> for KeyView {
    fn from(key: KeyInfo) -> Self {
        Self {
            alg: key.purpose.as_str().to_owned(),
            phase: key.phase.as_str().to_owned(),
            kid: key.kid,
            begins_at: key.begins_at,
        }
    }
}

impl Operation for List {
    const NAME: &'static str = "key-list";
    type Output = Vec<KeyView>;

    async fn run(self, context: &Context<'_>) -> Result<Vec<KeyView>, OperationError> {
        Ok(views(ring(context)?))
    }
}

impl Operation for Jwks {
    const NAME: &'static str = "key-jwks";
    type Output = String;

    async fn run(self, context: &Context<'_>) -> Result<String, OperationError> {
        Ok(ring(context)?.jwks())
    }
}

impl Operation for Rotate {
    const NAME: &'static str = "key-rotate";
    type Output = Vec<KeyView>;

    async fn run(self, context: &Context<'_>) -> Result<Vec<KeyView>, OperationError> {
        let ring = ring(context)?;
        let before = ring.keys();
        ring.rotate(if self.now { Activation::Now } else { Activation::Announced }).await?;
        report_changes(context, &before, ring);
        Ok(views(ring))
    }
}

impl Operation for Remove {
    const NAME: &'static str = "key-remove";
    type Output = Vec<KeyView>;

    async fn run(self, context: &Context<'_>) -> Result<Vec<KeyView>, OperationError> {
        let ring = ring(context)?;
        let before = ring.keys();
        ring.remove(&self.kid).await?;
        report_changes(context, &before, ring);
        Ok(views(ring))
    }
}

fn ring<'a>(context: &Context<'a>) -> Result<&'a KeyRing, OperationError> {
    let none = || OperationError::Unavailable("the signing keys are not open here".to_owned());
    context.keys.ok_or_else(none)
}

fn views(ring: &KeyRing) -> Vec<KeyView> {
    ring.keys().into_iter().map(KeyView::from).collect()
}

/// Told here as well, since it was asked for: the process may end before anybody looks after the ring.
fn report_changes(context: &Context<'_>, before: &[KeyInfo], ring: &KeyRing) {
    let tell = |KeyInfo { kid, purpose, .. }: &KeyInfo, phase| {
        context.events.record(None, &Event::KeyChanged { kid, purpose: *purpose, phase });
    };
    let after = ring.keys();
    let is_unchanged =
        |key: &KeyInfo| before.iter().any(|it| (&it.kid, it.phase) == (&key.kid, key.phase));
    for key in after.iter().filter(|key| !is_unchanged(key)) {
        tell(key, key.phase);
    }
    for removed in before.iter().filter(|it| after.iter().all(|key| key.kid != it.kid)) {
        tell(removed, Phase::Gone);
    }
    // The maintenance task does not record this change a second time.
    let _reported = ring.take_phase_changes();
}

impl From<RingError> for OperationError {
    fn from(error: RingError) -> Self {
        match error {
            RingError::Store(error) => error.into(),
            RingError::WrongSecretKey(_)
            | RingError::Unreadable
            | RingError::Key(_)
            | RingError::TooManyKeys
            | RingError::KeyInUse
            | RingError::UnknownKey
            | RingError::ReadOnly => Self::Refused(error.to_string()),
        }
    }
}
