//! The device cookie: which users have signed in with this browser before.
//!
//! The cookie is encrypted and holds an id of the browser and its users. Password attempts that come with it are
//! counted apart, so that guesses from elsewhere do not lock a user out of their own browser. It proves nothing
//! else: the password is asked for all the same. It no longer counts for a user whose sessions were ended by a new
//! password or by the operator, because another person may have signed in with it.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::domain::epoch::Epoch;
use crate::infra::clock::UnixTime;
use crate::infra::random;
use crate::infra::secret::{Digest, base64url};
use crate::infra::secret_key::EncryptionKey;
use crate::protocol::Subject;

/// A browser and its users.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Device {
    id: String,
    /// The latest sign-in is the last.
    #[serde(rename = "people")]
    users: Vec<KnownUser>,
}

#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
struct KnownUser {
    /// A digest, so that the cookie is short.
    #[serde(rename = "who")]
    subject_digest: String,
    /// The user's epoch at that time.
    epoch: Epoch,
    at: UnixTime,
}

/// How long a browser is remembered after a sign-in.
pub const DEVICE_LIFETIME: Duration = Duration::from_secs(90 * 86_400);
/// How many users are remembered for one browser.
const MAX_USERS: usize = 5;
/// The context that the cookie is encrypted for.
const COOKIE_CONTEXT: &str = "device cookie";

impl Device {
    /// A browser without users.
    pub fn new() -> Self {
        Self { id: base64url(&random::bytes::<16>()), users: Vec::new() }
    }

    /// Reads a cookie; `None` if it is none of ours.
    pub fn decrypt(key: &EncryptionKey, cookie: &str) -> Option<Self> {
        let opened = key.decrypt(COOKIE_CONTEXT, cookie)?;
        serde_json::from_slice(&opened.plaintext).ok()
    }

    /// The value of the cookie.
    pub fn encrypt(&self, key: &EncryptionKey) -> Option<String> {
        key.encrypt(COOKIE_CONTEXT, &serde_json::to_vec(self).ok()?)
    }

    /// This user has signed in. Of more users than fit, those whose sign-in is longest ago are forgotten.
    pub fn add_user(&mut self, sub: &Subject, epoch: Epoch, now: UnixTime) {
        let who = subject_digest(sub);
        self.users.retain(|known| known.subject_digest != who);
        let excess = (self.users.len() + 1).saturating_sub(MAX_USERS);
        self.users.drain(..excess);
        self.users.push(KnownUser { subject_digest: who, epoch, at: now });
    }

    /// The key under which this browser's attempts for this user are counted, if the user has signed in here.
    pub fn attempt_key(&self, sub: &Subject, epoch: Epoch, now: UnixTime) -> Option<String> {
        let who = subject_digest(sub);
        let known = self.users.iter().find(|known| known.subject_digest == who)?;
        let counts =
            epoch.accepts(Some(known.epoch), known.at) && now < known.at.plus(DEVICE_LIFETIME);
        counts.then(|| format!("device {} {who}", self.id))
    }
}

impl Default for Device {
    fn default() -> Self {
        Self::new()
    }
}

fn subject_digest(sub: &Subject) -> String {
    let mut who = Digest::of(sub.as_str().as_bytes()).to_base64url();
    who.truncate(22);
    who
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::infra::secret_key::{EncryptionPurpose, SecretKey};

    const NOW: UnixTime = UnixTime::from_secs(1_700_000_000);

    fn epoch(number: u64) -> Epoch {
        Epoch::from_number(number)
    }

    fn sub(name: &str) -> Subject {
        Subject::parse(name).unwrap()
    }

    #[test]
    fn a_browser_knows_who_signed_in_until_they_are_cut_off_or_long_away() {
        let mut device = Device::new();
        assert_eq!(device.attempt_key(&sub("ada"), epoch(0), NOW), None);
        device.add_user(&sub("ada"), epoch(7), NOW);
        let name = device.attempt_key(&sub("ada"), epoch(7), NOW).unwrap();
        assert_eq!(device.attempt_key(&sub("bob"), epoch(0), NOW), None);
        assert_eq!(device.attempt_key(&sub("ada"), epoch(8), NOW), None, "cut off since");
        assert_eq!(device.attempt_key(&sub("ada"), epoch(7), NOW.plus(DEVICE_LIFETIME)), None);
        device.add_user(&sub("ada"), epoch(8), NOW);
        assert_eq!(device.attempt_key(&sub("ada"), epoch(8), NOW), Some(name), "the same browser");
        assert_ne!(Device::new().id, device.id);
    }

    #[test]
    fn five_people_share_a_browser_and_the_sixth_takes_the_place_of_the_first() {
        let mut device = Device::new();
        for name in ["a", "b", "c", "d", "e", "a", "f"] {
            device.add_user(&sub(name), epoch(0), NOW);
        }
        let known = |name| device.attempt_key(&sub(name), epoch(0), NOW).is_some();
        assert!(known("a") && known("f") && !known("b"));
    }

    #[test]
    fn a_cookie_is_read_under_its_key_only_and_unchanged() {
        let key = |c: &str| {
            SecretKey::from_text(&c.repeat(32)).unwrap().encryption_key(EncryptionPurpose::Device)
        };
        let mut device = Device::new();
        for name in ["a", "b", "c", "d", "e"] {
            device.add_user(&sub(name), epoch(u64::MAX), NOW);
        }
        let cookie = device.encrypt(&key("x")).unwrap();
        assert!(cookie.len() < 1000, "{}", cookie.len());
        assert_eq!(Device::decrypt(&key("x"), &cookie), Some(device));
        assert_eq!(Device::decrypt(&key("y"), &cookie), None);
        assert_eq!(Device::decrypt(&key("x"), &cookie[1..]), None);
    }
}
