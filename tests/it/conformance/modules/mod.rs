//! What each module does. What it looks at beside its own point is in `checks`.

mod claims;
mod codes;
mod prompts;
mod refreshing;
mod refusals;
mod registering;
mod server;

pub use self::claims::*;
pub use self::codes::*;
pub use self::prompts::*;
pub use self::refreshing::*;
pub use self::refusals::*;
pub use self::registering::*;
pub use self::server::*;
