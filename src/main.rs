//! Parse the command line, run, exit code.

use std::process::ExitCode;

use latchkey::cli::{self, Command};
use latchkey::config::Config;
use latchkey::server::run;

// musl's own allocator is slow where threads meet. glibc's is not, and an idle server is half the size with it.
#[cfg(target_env = "musl")]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[tokio::main]
async fn main() -> ExitCode {
    match cli::parse() {
        Err(code) => code,
        Ok(Command::Tool(tool)) => Box::pin(cli::run(tool, Config::load())).await,
        Ok(Command::Serve) => match Config::load() {
            Ok(config) => run::run(config).await,
            Err(complaints) => {
                eprintln!("{complaints}");
                ExitCode::from(78)
            }
        },
    }
}
