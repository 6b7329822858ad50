//! What a file needs to outlive a power cut.

use std::fs::File;
use std::io;
use std::path::Path;

/// Makes the name of `file` last: that it was made, renamed or removed. What is in it lasts
/// by [`File::sync_all`].
pub fn fsync_name(file: &Path) -> io::Result<()> {
    let folder = match file.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    File::open(folder)?.sync_all()
}
