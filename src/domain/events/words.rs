//! The words of the audit log and of metric labels, as enums: operators alert on them, so none may change.

use crate::protocol::string_enum;

string_enum! {
    /// Who asked for a change: `by` in the audit log.
    Actor {
        /// An operator with a shell, also through the control socket.
        CommandLine = "command_line",
        /// The file that `BOOTSTRAP_FILE` names.
        BootstrapFile = "bootstrap_file",
        /// A client, about its own registration (RFC 7592).
        Client = "client",
        /// A successful sign-in of the user.
        SignIn = "sign_in",
    }
}

impl Actor {
    /// Whether it acts for the operator, so that nobody else can cause as many events as they like.
    pub const fn is_operator(self) -> bool {
        match self {
            Self::CommandLine | Self::BootstrapFile => true,
            Self::Client | Self::SignIn => false,
        }
    }
}

string_enum! {
    /// Why a sign-in failed.
    SignInFailure {
        UnknownUser = "unknown_user",
        WrongPassword = "wrong_password",
        Disabled = "disabled",
        /// Too many failures from this address or at this account.
        Throttled = "throttled",
        Locked = "locked",
        /// No password could be hashed in time.
        Busy = "busy",
    }
}

string_enum! {
    /// What ended a session.
    SignOutCause {
        /// A client, with an ID token of the session (RP-initiated logout).
        Application = "application",
        /// The user, on our page.
        Person = "person",
        /// A client that revoked its session without the browser.
        Client = "client",
        /// Another sign-in with the same browser.
        Replaced = "replaced",
    }
}

string_enum! {
    /// What came of one attempt to notify a client of a logout.
    LogoutDeliveryOutcome {
        Ok = "ok",
        /// It failed and will be repeated.
        Retry = "retry",
        /// The client answered that it will not have it.
        Refused = "refused",
        /// It failed for the last time.
        Failed = "failed",
        /// The queue was full.
        Dropped = "dropped",
    }
}

string_enum! {
    /// How an authorization request ended.
    AuthorizationOutcome {
        Ok = "ok",
        /// The user said no.
        Denied = "denied",
        Refused = "refused",
        Throttled = "throttled",
        /// `prompt=none`, but a page would have had to be shown.
        InteractionNeeded = "interaction_needed",
    }
}

string_enum! {
    /// Why a client could not be authenticated.
    ClientAuthFailure {
        TwoHeaders = "two_headers",
        NoCredentials = "no_credentials",
        TwoMethods = "two_methods",
        TwoClients = "two_clients",
        AssertionType = "assertion_type",
        MalformedHeader = "malformed_header",
        UnknownClient = "unknown_client",
        Disabled = "disabled",
        WrongMethod = "wrong_method",
        WrongSecret = "wrong_secret",
        /// The secret is right but for its encoding (RFC 6749 §2.3.1).
        SecretNotFormEncoded = "secret_not_form_encoded",
        NoKeys = "no_keys",
        Busy = "busy",
        BadSignature = "bad_signature",
        BadAssertion = "bad_assertion",
        Replayed = "replayed",
    }
}

string_enum! {
    /// What a client revoked (RFC 7009).
    RevokedKind {
        AccessToken = "access_token",
        RefreshToken = "refresh_token",
    }
}

string_enum! {
    /// What became of an account.
    UserChange {
        Added = "added",
        Updated = "updated",
        PasswordSet = "password_set",
        Enabled = "enabled",
        Disabled = "disabled",
        /// All sessions and grants ended.
        SignedOut = "signed_out",
        Removed = "removed",
    }
}

string_enum! {
    /// What became of a client.
    ClientChange {
        /// By itself (RFC 7591).
        Registered = "registered",
        /// By an operator.
        Added = "added",
        Updated = "updated",
        SecretRotated = "secret_rotated",
        Enabled = "enabled",
        Disabled = "disabled",
        Removed = "removed",
    }
}

string_enum! {
    /// What became of a scope.
    ScopeChange {
        Added = "added",
    }
}

string_enum! {
    /// What became of an API (RFC 8707).
    ResourceChange {
        Added = "added",
        Updated = "updated",
        Removed = "removed",
    }
}
