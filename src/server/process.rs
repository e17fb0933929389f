//! What the process asks of the operating system before it opens a port.

use rustix::process::{
    DumpableBehavior, Resource, Rlimit, getrlimit, set_dumpable_behavior, setrlimit,
};

/// Raises the soft limit of open files to the hard one. Returns how many may be open now.
///
/// Each connection is a file, and the usual soft limit of 1 024 is reached long before the machine is.
pub fn raise_fd_limit() -> u64 {
    let before = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: before.maximum, maximum: before.maximum };
    if let Err(error) = setrlimit(Resource::Nofile, raised) {
        tracing::warn!(%error, "the limit of open files could not be raised");
    }
    getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX)
}

/// No core dumps and no attaching debugger of the same user: keys and passwords are in this memory.
pub fn harden_process() {
    if let Err(error) = set_dumpable_behavior(DumpableBehavior::NotDumpable) {
        tracing::warn!(%error, "core dumps could not be turned off");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_soft_limit_of_open_files_becomes_the_hard_one() {
        let allowed = raise_fd_limit();
        assert_eq!(Some(allowed), getrlimit(Resource::Nofile).maximum.or(Some(u64::MAX)));
    }
}
