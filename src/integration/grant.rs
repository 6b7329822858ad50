//! OAuth 2.0 grants, and the interface of the store that keeps them between runs.
//!
//! A refresh token can often be used only once. So the store renews a grant in one atomic
//! step: only one process renews at a time, and the new tokens are stored before they are
//! used. If a process is killed after the application has rotated the refresh token and
//! before the new one is stored, the grant is lost. The application then answers
//! `invalid_grant`, and a person has to consent again.

use std::collections::BTreeMap;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use tokio::sync::Mutex;

use super::source::SourceError;

/// A grant from a token response. It has no `Debug`, so that it cannot be printed.
#[derive(Clone, Serialize, Deserialize)]
pub struct Grant {
    pub access_token: String,
    pub refresh_token: Option<String>,
    /// When the access token expires, in Unix milliseconds, if the application said so.
    pub expires_at: Option<i64>,
    /// When the refresh token expires, in Unix milliseconds, if the application said so.
    pub refresh_expires_at: Option<i64>,
    /// Parts of the token response that templates use as `{{found.x}}`.
    #[serde(default)]
    pub found: BTreeMap<String, String>,
}

impl Grant {
    /// When it can no longer be used, if that is known: when the refresh token expires, or the access
    /// token if there is no refresh token.
    pub fn ends_at(&self) -> Option<i64> {
        if self.refresh_token.is_some() { self.refresh_expires_at } else { self.expires_at }
    }
}

/// A grant in the store.
#[derive(Clone)]
pub struct StoredGrant {
    pub grant: Grant,
    /// Increases with every renewal and every consent.
    pub generation: i64,
}

/// Exchanges a refresh token for a new grant.
#[async_trait]
pub trait Renew: Send + Sync {
    async fn renew(&self, old: &Grant) -> Result<Grant, SourceError>;
}

/// Stores the grant of one instance.
#[async_trait]
pub trait GrantStore: Send + Sync {
    /// The stored grant. `None` if nobody has consented yet, or the grant was deleted.
    async fn read(&self) -> Result<Option<StoredGrant>, SourceError>;

    /// Renews the grant of generation `seen`, stores it and returns it. Only one caller in all
    /// processes renews at a time. Returns the stored grant if it was renewed meanwhile.
    async fn renew(&self, seen: i64, renew: &dyn Renew) -> Result<StoredGrant, SourceError>;
}

/// A store in memory: for samples, for the trial of a manifest, and for a new consent until it has
/// been checked.
pub struct GrantInMemory(Mutex<StoredGrant>);

impl GrantInMemory {
    pub fn new(grant: Grant) -> Self {
        Self(Mutex::new(StoredGrant { grant, generation: 0 }))
    }

    /// The current grant.
    pub async fn grant(&self) -> Grant {
        self.0.lock().await.grant.clone()
    }
}

#[async_trait]
impl GrantStore for GrantInMemory {
    async fn read(&self) -> Result<Option<StoredGrant>, SourceError> {
        Ok(Some(self.0.lock().await.clone()))
    }

    async fn renew(&self, seen: i64, renew: &dyn Renew) -> Result<StoredGrant, SourceError> {
        let mut stored = self.0.lock().await;
        if stored.generation == seen {
            let grant = renew.renew(&stored.grant).await?;
            *stored = StoredGrant { grant, generation: seen + 1 };
        }
        Ok(stored.clone())
    }
}
