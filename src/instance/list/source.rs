//! The users of a list that waits, as a run reads them.

use async_trait::async_trait;
use entity::{list_batch, list_delivery};
use futures_util::stream::{self, BoxStream, StreamExt as _};
use integration::source::{Checkpoint, ErrorClass, Page, Source, SourceError, Verified};
use sea_orm::EntityTrait;
use serde::{Deserialize, Serialize};
use tracing::error;
use uuid::Uuid;

use super::waiting;
use crate::clock::date_time;
use crate::db::Db;
use crate::error::Error;

/// The list of one instance.
pub struct DeliveredList {
    pub db: Db,
    pub instance: Uuid,
    /// When users were delivered last, or 0.
    pub last_success_at: i64,
}

/// Where a run continues.
#[derive(Serialize, Deserialize)]
struct Position {
    delivery: Uuid,
    batch: i64,
}

fn unreadable(problem: impl Into<Error>) -> SourceError {
    error!(error = %problem.into().chain(), "a delivered list could not be read");
    SourceError::new(ErrorClass::Transient, "The delivered list could not be read from the database.")
}

impl DeliveredList {
    async fn find(&self) -> Result<list_delivery::Model, SourceError> {
        let found = waiting(self.db.read(), self.instance).await.map_err(unreadable)?;
        found.ok_or_else(|| {
            let last = match self.last_success_at {
                0 => "No list was delivered yet.".to_owned(),
                at => format!(
                    "No list was delivered since {}, which is longer than the interval of this instance.",
                    date_time(at).format("%Y-%m-%d %H:%M UTC")
                ),
            };
            SourceError::new(ErrorClass::Overdue, last)
        })
    }

    /// The page at a position, and the list that it is of.
    async fn next(
        &self,
        known: Option<list_delivery::Model>,
        from: Option<&Checkpoint>,
    ) -> Result<(list_delivery::Model, Page), SourceError> {
        let delivery = match known {
            Some(delivery) => delivery,
            None => self.find().await?,
        };
        let position = from.map(|from| serde_json::from_value::<Position>(from.clone())).transpose();
        let batch = match position.map_err(unreadable)? {
            Some(position) if position.delivery != delivery.id => return Err(replaced()),
            Some(position) => position.batch,
            None => 0,
        };
        let page = self.page(&delivery, batch).await?;
        Ok((delivery, page))
    }

    async fn page(&self, delivery: &list_delivery::Model, batch: i64) -> Result<Page, SourceError> {
        let more = batch + 1 < delivery.batches;
        let mut page = Page {
            next: more.then(|| serde_json::json!(Position { delivery: delivery.id, batch: batch + 1 })),
            expected: u64::try_from(delivery.user_count).ok(),
            ..Page::default()
        };
        if delivery.batches > 0 {
            let row = list_batch::Entity::find_by_id((delivery.id, batch)).one(self.db.read()).await;
            let row = row.map_err(unreadable)?.ok_or_else(replaced)?;
            page.users = serde_json::from_str(&row.users).map_err(unreadable)?;
        }
        Ok(page)
    }
}

/// The run was cancelled, and is about to notice it.
fn replaced() -> SourceError {
    SourceError::new(ErrorClass::Config, "The list was replaced while it was read.")
}

#[async_trait]
impl Source for DeliveredList {
    async fn check(&self) -> Result<Verified, SourceError> {
        Ok(Verified::default())
    }

    fn pages(&self, from: Option<Checkpoint>) -> BoxStream<'_, Result<Page, SourceError>> {
        let first = Some((None, from));
        stream::unfold(first, move |state| async move {
            let (delivery, from) = state?;
            Some(match self.next(delivery, from.as_ref()).await {
                Ok((delivery, page)) => {
                    let next = page.next.clone().map(|next| (Some(delivery), Some(next)));
                    (Ok(page), next)
                }
                // Whoever asks again gets the same page.
                Err(error) => (Err(error), Some((None, from))),
            })
        })
        .boxed()
    }
}
