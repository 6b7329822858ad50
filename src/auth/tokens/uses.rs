//! When tokens were used last. Requests only note it; it is written in the background.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use entity::api_token::{Column, Entity};
use parking_lot::Mutex;
use sea_orm::sea_query::Expr;
use sea_orm::{ColumnTrait, Condition, EntityTrait, QueryFilter};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::Tokens;
use crate::error::Result;

/// How often it is written.
const PAUSE: Duration = Duration::from_mins(1);
/// How long each attempt may take.
const PATIENCE: Duration = Duration::from_secs(3);

/// The tokens that were used since it was written last, each with the time of its last use.
#[derive(Clone, Default)]
pub(super) struct Uses(Arc<Mutex<HashMap<Uuid, i64>>>);

impl Uses {
    pub(super) fn note(&self, token: Uuid, at: i64) {
        self.0.lock().insert(token, at);
    }
}

impl Tokens {
    /// Writes when tokens were used, until the server stops.
    pub async fn follow_uses(self, stop: CancellationToken) {
        loop {
            let stopping = tokio::select! {
                () = stop.cancelled() => true,
                () = tokio::time::sleep(PAUSE) => false,
            };
            match tokio::time::timeout(PATIENCE, self.write_uses()).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => tracing::warn!(error = %error.chain(), "the last use of tokens could not be written"),
                Err(_elapsed) => tracing::warn!("the last use of tokens could not be written in time"),
            }
            if stopping {
                return;
            }
        }
    }

    /// Writes when tokens were used. What is not written because of an error is lost: the next use will be.
    pub async fn write_uses(&self) -> Result<()> {
        let uses = &std::mem::take(&mut *self.uses.0.lock());
        if uses.is_empty() {
            return Ok(());
        }
        let write = self.db.write(|tx| async move {
            for (id, at) in uses {
                // Another server may have seen it later.
                let earlier = Condition::any().add(Column::LastUsedAt.is_null()).add(Column::LastUsedAt.lt(*at));
                Entity::update_many()
                    .col_expr(Column::LastUsedAt, Expr::value(*at))
                    .filter(Column::Id.eq(*id))
                    .filter(earlier)
                    .exec(tx.conn())
                    .await?;
            }
            Ok(())
        });
        write.await
    }
}
