//! What each module does. What it looks at beside its own point is in `checks`.

mod claims;
mod codes;
mod errors;
mod prompts;
mod refresh_tokens;
mod registration;
mod server;

pub use self::claims::*;
pub use self::codes::*;
pub use self::errors::*;
pub use self::prompts::*;
pub use self::refresh_tokens::*;
pub use self::registration::*;
pub use self::server::*;
