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
pub mod params;
pub mod pkce;
mod prompt;
pub mod provider_metadata;
pub mod redirect_uri;
pub mod resource;
mod response_mode;
mod response_type;
mod scope;
pub mod session_state;
mod string_enum;
mod subject;
mod token_type;

pub use self::authentication::{Acr, AuthenticationMethod};
pub use self::client_auth::{AuthMethod, Credentials};
pub use self::client_metadata::ClientMetadata;
pub use self::confirmation::Confirmation;
pub use self::error::{ErrorCode, OAuthError};
pub use self::grant_type::GrantType;
pub use self::params::{LenientParams, Params, ParamsError};
pub use self::pkce::{CodeChallenge, CodeVerifier, PkceError, RequirePkce};
pub use self::prompt::{Prompt, PromptError};
pub use self::provider_metadata::ProviderMetadata;
pub use self::response_mode::ResponseMode;
pub use self::response_type::ResponseType;
pub use self::scope::{Scope, ScopeError};
pub(crate) use self::string_enum::string_enum;
pub use self::subject::Subject;
pub use self::token_type::{AccessTokenTyp, TokenType};
