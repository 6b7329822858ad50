//! What every command does first, so that nothing of its memory or files gets to others on the machine.

use rustix::fs::Mode;
use rustix::process::{Resource, Rlimit, setrlimit, umask};

/// Turns core dumps off, keeps other processes of the same user from reading the memory, and makes new files readable
/// by their owner only.
///
/// # Errors
/// One line, if the system refuses.
pub(super) fn harden() -> Result<(), String> {
    umask(Mode::RWXG | Mode::RWXO);
    let failed = |error: rustix::io::Errno| format!("core dumps cannot be turned off: {error}");
    setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) }).map_err(failed)?;
    // A core_pattern that pipes to a program ignores the limit, but not this.
    #[cfg(target_os = "linux")]
    rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable).map_err(failed)?;
    Ok(())
}
