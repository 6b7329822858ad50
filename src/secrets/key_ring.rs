//! The keys of an installation, and the file that they are in.
//!
//! The file has one key a line, the newest first. Which key seals new values is stored in the database, see
//! [`crate::installation`].

use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use parking_lot::RwLock;
use zeroize::Zeroizing;

use super::key::{KeyId, LENGTH, signer_of};
use super::{Fields, OpenError, Place, SecretKey, key_id_of, random};
use crate::files::{Version, check_secret, fsync_parent_dir, version};

type Keys = Vec<Arc<SecretKey>>;

/// The keys in the key file, the newest first. There is at least one. If another process changes the file, the next use
/// of a key reads it again: it may have added a key, or removed one that must not count any more.
pub struct KeyRing {
    file: PathBuf,
    loaded: RwLock<Loaded>,
}

struct Loaded {
    keys: Keys,
    version: Option<Version>,
}

impl KeyRing {
    /// Reads the key file, or creates it (mode 0600) if it does not exist.
    ///
    /// # Errors
    /// One line that names the file.
    pub fn load_or_create(file: &Path) -> Result<Self, String> {
        if let Some(ring) = Self::load(file)? {
            return Ok(ring);
        }
        let key = Arc::new(SecretKey::new(Zeroizing::new(random())));
        let at = |error: &dyn std::fmt::Display| at(file, error);
        let mut out = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(file).map_err(|e| at(&e))?;
        out.write_all(lines([&key]).as_bytes()).and_then(|()| out.sync_all()).map_err(|e| at(&e))?;
        // The file name must be durable too: without its key, the database is lost.
        fsync_parent_dir(file).map_err(|e| at(&e))?;
        Ok(Self::new(file, vec![key], version(file)))
    }

    /// Reads the key file; `None` if it does not exist.
    ///
    /// # Errors
    /// One line that names the file.
    pub fn load(file: &Path) -> Result<Option<Self>, String> {
        let version = version(file);
        Ok(read(file)?.map(|keys| Self::new(file, keys, version)))
    }

    fn new(file: &Path, keys: Keys, version: Option<Version>) -> Self {
        Self { file: file.to_path_buf(), loaded: RwLock::new(Loaded { keys, version }) }
    }

    /// The keys as the file has them now. If it cannot be read, they stay as they were.
    fn keys(&self) -> Keys {
        let version = version(&self.file);
        let changed = version.is_some() && self.loaded.read().version != version;
        if changed && let Ok(Some(keys)) = read(&self.file) {
            *self.loaded.write() = Loaded { keys, version };
        }
        self.loaded.read().keys.clone()
    }

    pub fn file(&self) -> &Path {
        &self.file
    }

    /// The ids of all keys, the newest first.
    pub fn ids(&self) -> Vec<KeyId> {
        self.keys().iter().map(|key| key.id()).collect()
    }

    /// Adds a new key to the file. The caller holds the [lock](Self::lock).
    ///
    /// # Errors
    /// One line that names the file.
    pub fn add(&self) -> Result<Arc<SecretKey>, String> {
        let key = Arc::new(SecretKey::new(Zeroizing::new(random())));
        let mut keys = read(&self.file)?.unwrap_or_default();
        keys.insert(0, key.clone());
        self.replace(keys)?;
        Ok(key)
    }

    /// Removes all keys but one from the file. The caller holds the [lock](Self::lock). Returns how many it removed.
    ///
    /// # Errors
    /// One line that names the file.
    pub fn keep_only(&self, id: KeyId) -> Result<usize, String> {
        let mut keys = read(&self.file)?.unwrap_or_default();
        let all = keys.len();
        keys.retain(|key| key.id() == id);
        if keys.is_empty() {
            return Err(at(&self.file, &"does not have the key that is in use"));
        }
        let removed = all - keys.len();
        if removed > 0 {
            self.replace(keys)?;
        }
        Ok(removed)
    }

    /// Lets nobody else change the file while the result lives.
    ///
    /// # Errors
    /// One line that names the file.
    pub fn lock(&self) -> Result<fs::File, String> {
        let folder = self.real_file()?.parent().map_or_else(|| PathBuf::from("."), Path::to_path_buf);
        let folder = fs::File::open(folder).map_err(|error| at(&self.file, &error))?;
        folder.try_lock().map_err(|error| match error {
            fs::TryLockError::WouldBlock => at(&self.file, &"is being changed by another process"),
            fs::TryLockError::Error(error) => at(&self.file, &error),
        })?;
        Ok(folder)
    }

    /// Replaces the file in one step. It keeps its mode.
    fn replace(&self, keys: Keys) -> Result<(), String> {
        let file = self.real_file()?;
        let at = |error: std::io::Error| at(&self.file, &format!("cannot be changed: {error}"));
        let next = file.with_extension("next");
        let mode = fs::metadata(&file).map_err(at)?.permissions();
        // Left over by a process that was killed.
        let _ = fs::remove_file(&next);
        let mut out = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&next).map_err(at)?;
        out.write_all(lines(&keys).as_bytes()).and_then(|()| out.set_permissions(mode)).map_err(at)?;
        out.sync_all().and_then(|()| fs::rename(&next, &file)).map_err(at)?;
        fsync_parent_dir(&file).map_err(at)?;
        *self.loaded.write() = Loaded { keys, version: version(&file) };
        Ok(())
    }

    /// The file that a link may point to.
    fn real_file(&self) -> Result<PathBuf, String> {
        fs::canonicalize(&self.file).map_err(|error| at(&self.file, &error))
    }

    /// The key that was added last.
    pub fn newest(&self) -> Arc<SecretKey> {
        self.keys()[0].clone()
    }

    /// The key with this id.
    pub fn find(&self, id: KeyId) -> Option<Arc<SecretKey>> {
        self.keys().into_iter().find(|key| key.id() == id)
    }

    pub fn open(&self, place: &Place<'_>, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, OpenError> {
        let id = key_id_of(sealed).ok_or(OpenError::Changed)?;
        self.find(id).ok_or(OpenError::OtherKey)?.open(place, sealed)
    }

    /// Opens a value that was sealed before values were bound to their place.
    pub fn open_first_version(&self, owner: &str, sealed: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        self.keys().iter().find_map(|key| key.open_first_version(owner, sealed))
    }

    /// Whether a key of this installation has signed the row.
    pub fn has_signed_row(&self, row: &Fields, signature: &[u8]) -> bool {
        let signer = signer_of(signature).and_then(|id| self.find(id));
        signer.is_some_and(|key| key.has_signed_row(row, signature))
    }
}

/// The keys in a file; `None` if it does not exist.
fn read(file: &Path) -> Result<Option<Keys>, String> {
    let mut open = match fs::File::open(file) {
        Ok(open) => open,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(at(file, &error)),
    };
    check_secret(&open).map_err(|line| at(file, &line))?;
    let mut text = Zeroizing::new(String::new());
    open.read_to_string(&mut text).map_err(|error| at(file, &error))?;
    let keys = text.lines().map(str::trim).filter(|line| !line.is_empty()).map(parse).collect::<Option<Keys>>();
    match keys {
        Some(keys) if !keys.is_empty() => Ok(Some(keys)),
        _ => Err(at(file, &"is not a key that muster made")),
    }
}

fn parse(line: &str) -> Option<Arc<SecretKey>> {
    let decoded = Zeroizing::new(STANDARD.decode(line).ok()?);
    let mut bytes = Zeroizing::new([0; LENGTH]);
    if decoded.len() != LENGTH {
        return None;
    }
    bytes.copy_from_slice(&decoded);
    Some(Arc::new(SecretKey::new(bytes)))
}

/// The content of a key file.
fn lines<'a>(keys: impl IntoIterator<Item = &'a Arc<SecretKey>>) -> Zeroizing<String> {
    let mut text = Zeroizing::new(String::new());
    for key in keys {
        text.push_str(&Zeroizing::new(STANDARD.encode(key.bytes())));
        text.push('\n');
    }
    text
}

fn at(file: &Path, error: &dyn std::fmt::Display) -> String {
    format!("secret key file {}: {error}", file.display())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    const PLACE: Place<'_> = Place { table: "t", column: "c", row: b"r", generation: 0, destination: [0; 32] };

    #[test]
    fn the_key_file_is_created_once_and_readable_by_its_owner_only() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("secret.key");
        let sealed = KeyRing::load_or_create(&file).unwrap().newest().seal(&PLACE, b"y");
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(KeyRing::load_or_create(&file).unwrap().open(&PLACE, &sealed).unwrap().as_slice(), b"y");
        for bad in ["not a key", "", "QUJD\n"] {
            fs::write(&file, bad).unwrap();
            assert!(KeyRing::load_or_create(&file).err().unwrap().contains("secret.key"), "{bad}");
        }
    }

    #[test]
    fn a_key_file_that_others_can_read_or_write_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("secret.key");
        KeyRing::load_or_create(&file).unwrap();
        for (mode, verb) in [(0o600, None), (0o400, None), (0o440, None), (0o640, None)].into_iter().chain([
            (0o644, Some("read")),
            (0o660, Some("write")),
            (0o602, Some("write")),
        ]) {
            fs::set_permissions(&file, fs::Permissions::from_mode(mode)).unwrap();
            let refused = KeyRing::load(&file).err();
            assert_eq!(refused.is_some(), verb.is_some(), "{mode:o}");
            if let (Some(line), Some(verb)) = (refused, verb) {
                assert!(line.contains("secret.key") && line.contains(verb), "{mode:o}: {line}");
            }
        }
    }

    #[test]
    fn a_key_that_another_process_adds_is_found_and_one_that_it_removes_is_forgotten() {
        let dir = tempfile::tempdir().unwrap();
        let (file, other) = (dir.path().join("secret.key"), dir.path().join("other.key"));
        let ring = KeyRing::load_or_create(&file).unwrap();
        let added = KeyRing::load_or_create(&other).unwrap();
        let sealed = added.newest().seal(&PLACE, b"y");
        assert_eq!(ring.open(&PLACE, &sealed), Err(OpenError::OtherKey));
        let both = fs::read_to_string(&other).unwrap() + &fs::read_to_string(&file).unwrap();
        fs::write(&file, both).unwrap();
        assert_eq!(ring.open(&PLACE, &sealed).unwrap().as_slice(), b"y");
        assert_eq!(ring.newest().id(), added.newest().id());
        let old = ring.ids()[1];
        assert_eq!(KeyRing::load(&file).unwrap().unwrap().keep_only(added.newest().id()), Ok(1));
        assert!(ring.find(old).is_none());
        fs::remove_file(&file).unwrap();
        assert_eq!(ring.open(&PLACE, &sealed).unwrap().as_slice(), b"y", "a server goes on without its file");
    }
}
