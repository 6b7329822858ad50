//! Values that are sealed with the installation's key, for code that only checks whether a key opens them.

use uuid::Uuid;

use super::{connect, grants};
use crate::secrets::SecretKey;

/// A sealed value, and its owner.
pub struct Sealed {
    owner: String,
    value: Vec<u8>,
}

impl Sealed {
    /// The secrets of an instance's configuration.
    pub fn secrets(instance: Uuid, value: Vec<u8>) -> Self {
        Self { owner: connect::owner(instance), value }
    }

    /// The grant of an instance.
    pub fn grant(instance: Uuid, value: Vec<u8>) -> Self {
        Self { owner: grants::owner(instance), value }
    }

    /// Whether the key opens it.
    pub fn opens(&self, key: &SecretKey) -> bool {
        key.open(&self.owner, &self.value).is_ok()
    }
}
