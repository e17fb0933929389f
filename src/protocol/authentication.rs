//! The words for how an end-user was authenticated: `acr` ([OpenID Connect Core §2]) and `amr` ([RFC 8176 §2]).
//!
//! [OpenID Connect Core §2]: https://openid.net/specs/openid-connect-core-1_0.html#IDToken
//! [RFC 8176 §2]: https://www.rfc-editor.org/rfc/rfc8176#section-2

use super::string_enum::string_enum;

string_enum! {
    /// An authentication context class, the weakest first.
    Acr {
        /// A password.
        Password = "1",
    }
}

impl Default for Acr {
    /// The class of sessions and grants that say none: they are of a time when there was no other.
    fn default() -> Self {
        Self::Password
    }
}

impl Acr {
    /// For serde: whether it is the class of what says none.
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

string_enum! {
    /// An authentication method.
    AuthenticationMethod {
        /// A password.
        Password = "pwd",
    }
}
