use std::fmt::Write;

use super::error::CliError;
use crate::config::{self, Config, ConfigErrors};
use crate::operations::bootstrap::Bootstrap;

/// Every setting, after the declared users and clients were read as well.
pub(super) fn print(config: &Config) -> Result<String, CliError> {
    let mut text = config::describe(config);
    if let Some(path) = &config.bootstrap_file {
        let declared = Bootstrap::load(path)?;
        let resources = declared.catalogues().resources;
        resources.check_at(config.issuer.as_str()).map_err(|why| ConfigErrors(vec![why]))?;
        let (users, clients) = (declared.users(), declared.clients());
        for warning in declared.warnings() {
            // Writing to a string cannot fail.
            let _ = writeln!(text, "warning: {warning}");
        }
        let _ = writeln!(text, "{} declares users: {users}, clients: {clients}", path.display());
        for note in declared.notes() {
            let _ = writeln!(text, "note: {note}");
        }
    }
    Ok(text)
}
