//! Durable files.

use std::fs::File;
use std::io;
use std::path::Path;

/// Makes the creation, renaming or removal of `file` durable. [`File::sync_all`] does the same for
/// its content.
pub fn fsync_parent_dir(file: &Path) -> io::Result<()> {
    let folder = match file.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    File::open(folder)?.sync_all()
}
