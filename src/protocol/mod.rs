//! The vocabulary of OAuth 2.0 and `OpenID` Connect, and the rules that are pure functions of it.
//!
//! No store, no HTTP, no clock: time and records come as arguments.

pub mod algorithms;
mod authentication;
pub mod claims;
pub mod client_auth;
pub mod client_metadata;
mod confirmation;
mod error;
mod grant_type;
pub mod metadata;
pub mod params;
pub mod pkce;
mod prompt;
pub mod redirect_uri;
pub mod resource;
mod response_mode;
mod response_type;
mod scope;
pub mod session_state;
mod subject;
mod token_type;
mod wire;

pub use self::authentication::{Acr, AuthenticationMethod};
pub use self::client_auth::{AuthMethod, Credentials};
pub use self::client_metadata::ClientMetadata;
pub use self::confirmation::Confirmation;
pub use self::error::{ErrorCode, OAuthError};
pub use self::grant_type::GrantType;
pub use self::metadata::Metadata;
pub use self::params::{Came, Malformed, Params};
pub use self::pkce::{Challenge, Mismatch, RequirePkce, Verifier};
pub use self::prompt::{ContradictoryPrompt, Prompt};
pub use self::response_mode::ResponseMode;
pub use self::response_type::ResponseType;
pub use self::scope::{Scope, UnwordableScope};
pub use self::subject::Subject;
pub use self::token_type::{AccessTokenTyp, TokenType};
pub(crate) use self::wire::wire_words;
