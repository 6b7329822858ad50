//! What an OAuth 2.0 authorization grant is worth, and where it is kept between runs.
//!
//! A refresh token is often good for one use. So a renewal is one indivisible step of
//! the store: nobody else renews meanwhile, and the new tokens are stored before anybody
//! uses them. A process that is killed after the application has rotated the refresh
//! token and before the new one is stored loses the grant; the application then answers
//! `invalid_grant`, and a person has to consent again.

use std::collections::BTreeMap;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use tokio::sync::Mutex;

use super::source::SourceError;

/// A grant, as the token endpoint gave it. It has no `Debug`, so that it cannot be printed.
#[derive(Clone, Serialize, Deserialize)]
pub struct Grant {
    pub access_token: String,
    pub refresh_token: Option<String>,
    /// When the access token ends, in Unix milliseconds, if the application said so.
    pub expires_at: Option<i64>,
    /// When the refresh token ends, in Unix milliseconds, if the application said so.
    pub refresh_expires_at: Option<i64>,
    /// Parts of the token endpoint's answer that templates use as `{{found.x}}`.
    #[serde(default)]
    pub found: BTreeMap<String, String>,
}

impl Grant {
    /// When it ends for good, if that is known: with its refresh token, or else with its access token.
    pub fn ends_at(&self) -> Option<i64> {
        if self.refresh_token.is_some() { self.refresh_expires_at } else { self.expires_at }
    }
}

/// A grant as it is stored.
#[derive(Clone)]
pub struct StoredGrant {
    pub grant: Grant,
    /// Rises with every renewal and every consent.
    pub generation: i64,
}

/// Exchanges a refresh token for a new grant.
#[async_trait]
pub trait Renew: Send + Sync {
    async fn renew(&self, old: &Grant) -> Result<Grant, SourceError>;
}

/// Where one instance's grant is kept.
#[async_trait]
pub trait GrantStore: Send + Sync {
    /// The grant as it is stored. `None` if a person has not consented yet, or the grant is gone.
    async fn read(&self) -> Result<Option<StoredGrant>, SourceError>;

    /// Renews the grant of generation `seen`, one caller at a time over all processes, and
    /// answers it once it is stored. Answers the stored grant without a renewal if somebody
    /// has renewed it since.
    async fn renew(&self, seen: i64, renew: &dyn Renew) -> Result<StoredGrant, SourceError>;
}

/// A grant that is not stored: of samples, of the trial of a manifest, and what a person has just
/// consented to while it is tried.
pub struct GrantInMemory(Mutex<StoredGrant>);

impl GrantInMemory {
    pub fn new(grant: Grant) -> Self {
        Self(Mutex::new(StoredGrant { grant, generation: 0 }))
    }

    /// The grant as its renewals have left it.
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
