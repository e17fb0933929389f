//! How an end-user proves who they are: a file for each way, of which the password is one.
//!
//! An authenticator checks its evidence and gives an [`Authentication`]. It knows nothing of sessions,
//! interactions or pages: `http/sign_in.rs` takes the authentication from each of them, and begins the session
//! once the [`SignInPolicy`] is met.

mod password;

use serde::{Deserialize, Serialize};

pub use self::password::{
    Credentials, GuessLimits, LoginError, LoginFailure, LoginOutcome, PasswordAuthenticator,
    QueuedPassword, locked_since, unlock,
};
use crate::domain::epoch::Epoch;
use crate::infra::clock::UnixTime;
use crate::protocol::{Acr, AuthenticationMethod, Subject};

/// What an end-user has proven in a sign-in.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Authentication {
    pub sub: Subject,
    /// The user's epoch from before the evidence was checked: what changes the evidence begins another one, and
    /// ends what carries this.
    pub epoch: Epoch,
    /// `auth_time` of ID tokens: when the last of the methods succeeded.
    pub at: UnixTime,
    /// `amr` of ID tokens.
    pub methods: Vec<AuthenticationMethod>,
    /// `acr` of ID tokens.
    pub acr: Acr,
}

impl Authentication {
    /// By the password, and nothing else.
    pub fn by_password(sub: Subject, epoch: Epoch, at: UnixTime) -> Self {
        Self { sub, epoch, at, methods: vec![AuthenticationMethod::Password], acr: Acr::Password }
    }

    /// This one on top of what was proven before it. What another user proved, or the same one before their
    /// sessions were ended, adds nothing.
    #[must_use]
    pub fn after(mut self, earlier: &Self) -> Self {
        if earlier.sub != self.sub || earlier.epoch != self.epoch {
            return self;
        }
        let earlier_methods = earlier.methods.iter().filter(|it| !self.methods.contains(it));
        let methods = earlier_methods.chain(&self.methods).copied().collect();
        self.methods = methods;
        self.acr = self.acr.max(earlier.acr);
        self
    }
}

/// What has to be proven before a session begins.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct SignInPolicy {
    /// How many different methods it takes.
    pub methods: usize,
}

impl Default for SignInPolicy {
    fn default() -> Self {
        Self { methods: 1 }
    }
}

impl SignInPolicy {
    /// Whether a session may begin.
    pub fn is_met_by(self, authentication: &Authentication) -> bool {
        authentication.methods.len() >= self.methods
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const NOW: UnixTime = UnixTime::from_secs(1_700_000_000);

    fn by_password(sub: &str, epoch: u64) -> Authentication {
        let sub = Subject::parse(sub).unwrap();
        Authentication::by_password(sub, Epoch::from_number(epoch), NOW)
    }

    #[test]
    fn a_policy_counts_different_methods_of_one_user_in_one_epoch() {
        let earlier = by_password("ada", 7);
        let further = Authentication { methods: Vec::new(), ..by_password("ada", 7) };
        assert!(!SignInPolicy::default().is_met_by(&further), "nothing was proven");
        for (authentication, methods) in [
            (by_password("ada", 7), 1),
            (further.clone().after(&earlier), 1),
            (by_password("ada", 7).after(&earlier), 1),
            (further.clone().after(&by_password("bob", 7)), 0),
            (further.clone().after(&by_password("ada", 6)), 0),
        ] {
            assert!(SignInPolicy { methods }.is_met_by(&authentication));
            assert!(!SignInPolicy { methods: methods + 1 }.is_met_by(&authentication));
        }
    }

    #[test]
    fn the_last_method_gives_the_time() {
        let later =
            Authentication { at: NOW.plus(Duration::from_secs(9)), ..by_password("ada", 7) };
        assert_eq!(later.clone().after(&by_password("ada", 7)).at, later.at);
    }
}
