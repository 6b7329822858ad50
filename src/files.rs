//! Durable files, files that change, and files with a secret.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use rustix::fs::{StatVfsMountFlags, fstatvfs};

/// What differs between two versions of a file: inode, length, and time of the last change.
pub type Version = (u64, u64, i64, i64);

/// The version of a file; `None` if it cannot be found.
pub fn version(file: &Path) -> Option<Version> {
    let found = fs::metadata(file).ok()?;
    Some((found.ino(), found.len(), found.mtime(), found.mtime_nsec()))
}

/// Refuses a file that others can write, or read. Its group may read it, and everybody if it is on a read-only mount:
/// this is how clusters mount secrets.
///
/// # Errors
/// A sentence without the name of the file.
pub fn check_secret(file: &File) -> Result<(), String> {
    let mode = file.metadata().map_err(|error| error.to_string())?.permissions().mode() & 0o777;
    let others_write = mode & 0o022 != 0;
    let others_read = mode & 0o004 != 0 && !is_on_read_only_mount(file);
    if others_write || others_read {
        let verb = if others_write { "write" } else { "read" };
        return Err(format!("other users of this machine can {verb} it (mode {mode:04o}); change its mode to 0600"));
    }
    Ok(())
}

fn is_on_read_only_mount(file: &File) -> bool {
    fstatvfs(file).is_ok_and(|mount| mount.f_flag.contains(StatVfsMountFlags::RDONLY))
}

/// Makes the creation, renaming or removal of `file` durable. [`File::sync_all`] does the same for
/// its content.
pub fn fsync_parent_dir(file: &Path) -> io::Result<()> {
    let folder = match file.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    File::open(folder)?.sync_all()
}
