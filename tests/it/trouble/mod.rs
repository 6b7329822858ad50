//! Databases that fail: restarted, unreachable, half-open, read-only, full, out of connections, with deadlocks; and a
//! clock that jumps. Each test has its own database and the real program.
//!
//! **What must hold.** The process stays up, and is ready again within seconds of its database. No request hangs: what
//! cannot be done is answered with `UNAVAILABLE` and `Retry-After`, and was not done. An acknowledged change is stored
//! once. Workers pause and continue, and subscribers stay connected and miss nothing.
//!
//! Tests that need a file system of a given size need root, and those with a jumping clock need libfaketime. They
//! report it when they are skipped.

use std::path::Path;
use std::process::Command;

use tempfile::TempDir;

mod on_postgres;
mod on_sqlite;

/// A file system of a given size. Dropping this unmounts it.
struct SmallDisk {
    dir: TempDir,
}

impl SmallDisk {
    /// `None` if it cannot be mounted here.
    fn mount(megabytes: u32) -> Option<SmallDisk> {
        let dir = tempfile::tempdir().unwrap();
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &format!("size={megabytes}m,mode=0755"), "tmpfs"])
            .arg(dir.path())
            .output();
        if mounted.is_ok_and(|output| output.status.success()) {
            return Some(SmallDisk { dir });
        }
        println!("left out, because no file system can be mounted here: that needs root");
        None
    }

    fn path(&self) -> &Path {
        self.dir.path()
    }

    /// Fills it completely.
    fn fill(&self) {
        use std::io::Write;
        let mut file = std::fs::File::create(self.path().join("ballast")).unwrap();
        for size in [1 << 20, 4096, 1] {
            let piece = vec![0; size];
            while file.write_all(&piece).is_ok() {}
        }
    }

    fn empty(&self) {
        std::fs::remove_file(self.path().join("ballast")).unwrap();
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // A process that still has a file open there is about to end.
        let _ = Command::new("umount").arg("--lazy").arg(self.path()).status();
    }
}
