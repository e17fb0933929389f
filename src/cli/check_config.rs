use super::failure::Failure;
use crate::bootstrap::Bootstrap;
use crate::config::{self, Config};

/// Every setting, after the declared users and clients were read as well.
pub(super) fn print(config: &Config) -> Result<String, Failure> {
    let mut text = config::describe(config);
    if let Some(path) = &config.bootstrap_file {
        let declared = Bootstrap::load(path)?;
        let (users, clients) = (declared.users(), declared.clients());
        text.push_str(&format!("{} declares users: {users}, clients: {clients}\n", path.display()));
    }
    Ok(text)
}
