//! A pending sign-in: a person was sent to the identity provider and has not returned yet. All of it is in the `state`,
//! sealed with the installation's key.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};

use crate::error::Result;
use crate::secrets::{KeyRing, Place, SecretKey};

const PLACE: Place<'static> =
    Place { table: "oidc_sign_in", column: "state", row: &[], generation: 0, destination: [0; 32] };
/// The longest state, in bytes.
const MAX_STATE: usize = 2048;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Pending {
    /// SHA-256 of the cookie of the browser in which it was begun.
    pub(super) browser_hash: Vec<u8>,
    /// The path that the person is sent to afterwards.
    pub(super) return_to: String,
    pub(super) expires_at: i64,
}

impl Pending {
    /// The state. Every one is different.
    pub(super) fn seal(&self, key: &SecretKey) -> Result<String> {
        Ok(URL_SAFE_NO_PAD.encode(key.seal(&PLACE, &serde_json::to_vec(self)?)))
    }

    /// The sign-in with this state; `None` if there is none, or it has expired.
    pub(super) fn open(keys: &KeyRing, state: &str, now: i64) -> Option<Self> {
        let sealed = URL_SAFE_NO_PAD.decode(Some(state).filter(|state| state.len() <= MAX_STATE)?).ok()?;
        let pending: Self = serde_json::from_slice(&keys.open(&PLACE, &sealed).ok()?).ok()?;
        (pending.expires_at > now).then_some(pending)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oidc::MAX_RETURN;

    #[test]
    fn only_a_state_of_this_installation_counts_until_it_expires() {
        let folder = tempfile::tempdir().unwrap();
        let ring = |name: &str| KeyRing::load_or_create(&folder.path().join(name)).unwrap();
        let (ours, theirs) = (ring("ours"), ring("theirs"));
        let pending =
            Pending { browser_hash: vec![7; 32], return_to: format!("/{}", "a".repeat(MAX_RETURN - 1)), expires_at: 5 };
        let state = pending.seal(&ours.newest()).unwrap();
        assert_ne!(state, pending.seal(&ours.newest()).unwrap());
        assert_eq!(Pending::open(&ours, &state, 4), Some(pending));
        assert_eq!(Pending::open(&ours, &state, 5), None);
        assert_eq!(Pending::open(&theirs, &state, 4), None);
        for odd in ["", "x", "é", &state[1..], &state[..state.len() - 1], &state.repeat(9)] {
            assert_eq!(Pending::open(&ours, odd, 4), None, "{odd}");
        }
    }
}
