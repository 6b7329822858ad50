//! Databases that misbehave: restarted, out of reach, half-open, read-only, full, crowded, at odds with themselves,
//! and a clock that jumps. Each test has a database of its own, and the real program in front of it.
//!
//! **What must hold.** The process stays up, and is ready again within seconds of its database. No
//! request hangs: what cannot be done is answered as `UNAVAILABLE`, with `Retry-After`, and was not done.
//! What was acknowledged is stored, once. Workers pause and go on, and subscribers stay connected and miss nothing.
//!
//! Those that need a file system of a given size need root, and those with a clock that jumps need libfaketime; they
//! say so when they are left out.

use std::path::Path;
use std::process::Command;

use tempfile::TempDir;

mod on_postgres;
mod on_sqlite;

/// A file system of a given size. Dropped, it is unmounted.
struct SmallDisk {
    dir: TempDir,
}

impl SmallDisk {
    /// `None`: it cannot be had here.
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

    /// Fills it up to the last byte.
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
        // Whatever still has a file open there is on its way out.
        let _ = Command::new("umount").arg("--lazy").arg(self.path()).status();
    }
}
