//! Mail as files, for an installation without an SMTP server.

use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::digest::{SHA256, digest};

use super::SendError;
use crate::files::fsync_parent_dir;

/// A folder with one `.eml` file per message. Only this process's user may read it, because mails say who is
/// responsible for which application.
pub(super) struct Folder {
    dir: PathBuf,
}

impl Folder {
    pub(super) fn new(dir: &Path) -> Result<Self, String> {
        let mut builder = fs::DirBuilder::new();
        builder.recursive(true);
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        builder.create(dir).map_err(|e| format!("the folder for mail, {}, cannot be created: {e}", dir.display()))?;
        Ok(Self { dir: dir.to_owned() })
    }

    pub(super) fn describe(&self) -> String {
        format!("mail is written as .eml files to {}", self.dir.display())
    }

    /// Writes the message. The same id always gives the same file.
    pub(super) async fn write(&self, message_id: &str, bytes: Vec<u8>) -> Result<(), SendError> {
        let path = self.dir.join(format!("{}.eml", stem(message_id)));
        let written = tokio::task::spawn_blocking(move || replace(&path, &bytes)).await;
        match written {
            Ok(Ok(())) => Ok(()),
            Ok(Err(e)) => Err(SendError::temporary(&format!("The file cannot be written: {e}."))),
            Err(_) => Err(SendError::temporary("The file was not written: the server is stopping.")),
        }
    }
}

/// The file name of a message: its id, or a hash of an id that is not safe as a file name.
fn stem(message_id: &str) -> String {
    let plain = message_id.len() <= 120
        && !message_id.starts_with('.')
        && message_id.bytes().all(|b| b.is_ascii_alphanumeric() || b"@.-_+".contains(&b));
    if plain {
        return message_id.to_owned();
    }
    URL_SAFE_NO_PAD.encode(digest(&SHA256, message_id.as_bytes()))
}

/// Replaces a file atomically: a reader sees the old content or the new, never a part.
fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let unfinished = path.with_extension("unfinished");
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(&unfinished)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&unfinished, path)?;
    fsync_parent_dir(path)
}

#[cfg(test)]
mod tests {
    use super::{Folder, stem};

    #[tokio::test]
    async fn sending_again_replaces_the_file() {
        let parent = tempfile::tempdir().unwrap();
        let dir = parent.path().join("made").join("mail");
        let folder = Folder::new(&dir).unwrap();
        folder.write("run-1@muster", b"first".to_vec()).await.unwrap();
        folder.write("run-1@muster", b"second".to_vec()).await.unwrap();
        folder.write("run-2@muster", b"other".to_vec()).await.unwrap();

        let mut names: Vec<_> =
            std::fs::read_dir(&dir).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        assert_eq!(names, ["run-1@muster.eml", "run-2@muster.eml"]);
        assert_eq!(std::fs::read(dir.join("run-1@muster.eml")).unwrap(), b"second");
    }

    #[tokio::test]
    async fn a_folder_that_vanished_is_a_passing_trouble() {
        let parent = tempfile::tempdir().unwrap();
        let dir = parent.path().join("mail");
        let folder = Folder::new(&dir).unwrap();
        std::fs::remove_dir(&dir).unwrap();
        assert!(!folder.write("run-1@muster", b"x".to_vec()).await.unwrap_err().permanent);
    }

    #[test]
    fn an_id_cannot_leave_the_folder() {
        for id in ["../../etc/passwd", "/etc/passwd", ".hidden", "..", "a/b", "a\\b", "a\0b", &"x".repeat(500)] {
            let stem = stem(id);
            assert!(stem.len() == 43 && !stem.contains(['.', '/', '\\']), "{id:?}: {stem}");
        }
    }
}
