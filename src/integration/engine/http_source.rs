//! The source that a manifest describes.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use futures_util::stream::{self, BoxStream, StreamExt as _};

use super::check::check;
use super::client::Client;
use super::connection::Connection;
use super::identify::Requests;
use super::observe::PageObserver;
use super::pass::Pass;
use super::request::RequestBuilder;
use crate::grant::GrantStore;
use crate::manifest::Manifest;
use crate::manifest::template::Part;
use crate::source::{Checkpoint, Config, ErrorClass, Page, Source, SourceError, Verified};

/// An application that a manifest describes, connected with the given settings.
pub struct HttpSource {
    pub(super) connection: Connection,
    requests: Requests,
    observer: Option<PageObserver>,
}

impl HttpSource {
    /// Fails with class `Config` if the settings do not fit the manifest. `grants` stores the
    /// grant, if the manifest needs a person's consent.
    pub fn new(
        manifest: Arc<Manifest>,
        config: Config,
        client: &Client,
        grants: Option<Arc<dyn GrantStore>>,
    ) -> Result<Self, SourceError> {
        let wrong = |message: String| SourceError::new(ErrorClass::Config, message);
        let config = manifest.complete(config).map_err(|errors| {
            let sentences: Vec<String> = errors.into_iter().map(|error| error.message).collect();
            wrong(sentences.join(" "))
        })?;
        let config = Arc::new(config);
        let base_url_is_known = !matches!(manifest.base_url.value.parts(), [Part::Found(_), ..]);
        if base_url_is_known {
            RequestBuilder::new(&manifest, Arc::clone(&config), BTreeMap::new()).map_err(wrong)?;
        }
        let client = client.of(&manifest.key);
        let connection = Connection::new(manifest, config, client, grants)?;
        Ok(Self { connection, requests: Requests::default(), observer: None })
    }

    /// Calls `observer` with each page of a listing.
    #[must_use]
    pub fn observed_by(mut self, observer: PageObserver) -> Self {
        self.observer = Some(observer);
        self
    }

    /// The tenant whose users are listed, once a listing has begun.
    pub fn tenant(&self) -> Option<String> {
        self.requests.tenant()
    }
}

#[async_trait]
impl Source for HttpSource {
    async fn check(&self) -> Result<Verified, SourceError> {
        let verified = check(&self.connection).await;
        self.connection.close().await;
        verified
    }

    fn is_queued(&self) -> bool {
        self.connection.is_queued()
    }

    fn pages(&self, from: Option<Checkpoint>) -> BoxStream<'_, Result<Page, SourceError>> {
        let pass = Pass::new(&self.connection, &self.requests, self.observer.as_ref(), from);
        let pages = stream::unfold(pass, move |mut pass| async move {
            let page = pass.next().await.transpose()?;
            // The session is closed before the last page or an error is returned. If the stream is
            // polled again after an error, the next request signs in anew.
            if page.as_ref().map_or(true, |page| page.next.is_none()) {
                self.connection.close().await;
            }
            Some((page, pass))
        });
        pages.boxed()
    }
}
