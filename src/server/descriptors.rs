//! The file descriptors of the process. Each connection takes one, and so does each file.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tracing::warn;

/// The most descriptors that are kept from clients, for the database, for syncs and for mail.
const RESERVED: u64 = 1024;

/// Raises the limit of this process as far as the system allows.
pub fn raise() {
    let limit = getrlimit(Resource::Nofile);
    if limit.current != limit.maximum
        && let Err(error) = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit })
    {
        warn!(error = %error, "the limit of file descriptors could not be raised");
    }
}

/// How many descriptors clients may take.
pub(super) fn for_clients() -> usize {
    let limit = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    usize::try_from(limit - (limit / 4).min(RESERVED)).unwrap_or(usize::MAX)
}
