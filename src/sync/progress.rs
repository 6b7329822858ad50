//! The progress of running syncs, on any replica. It is read from the rows of the runs about once a second, and only
//! while there are subscribers. It may be lost: no state depends on it.

use std::collections::HashMap;
use std::time::Duration;

use entity::instance::{self, Status, SyncState};
use entity::run::{self, FailureClass};
use sea_orm::{ColumnTrait, EntityTrait, ExprTrait, QueryFilter, QuerySelect, QueryTrait};
use tokio::sync::broadcast;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::db::Db;
use crate::error::Result;

const FRAME: Duration = Duration::from_secs(1);
const KEPT: usize = 1024;

/// The counts of a running sync. `started_at` is in Unix milliseconds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProgressFrame {
    pub instance_id: Uuid,
    pub integration_key: String,
    pub run_id: Uuid,
    pub seen: i64,
    pub expected: Option<i64>,
    pub pages: i32,
    pub started_at: i64,
    /// What the run waits for, and until when.
    pub waiting_for: Option<FailureClass>,
    pub waiting_until: Option<i64>,
}

/// Sends frames to all subscribers of this process.
#[derive(Clone)]
pub struct Progress(broadcast::Sender<ProgressFrame>);

impl Default for Progress {
    fn default() -> Self {
        Self(broadcast::Sender::new(KEPT))
    }
}

impl Progress {
    pub fn watch(&self) -> broadcast::Receiver<ProgressFrame> {
        self.0.subscribe()
    }

    /// Reads the progress until `stop`.
    pub async fn follow(self, db: Db, stop: CancellationToken) {
        let mut told = HashMap::new();
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(FRAME) => {}
            }
            if self.0.receiver_count() == 0 {
                continue;
            }
            match frames(&db).await {
                Ok(frames) => {
                    for frame in &frames {
                        if told.get(&frame.run_id) != Some(frame) {
                            // Fails only if the last subscriber has just left.
                            let _ = self.0.send(frame.clone());
                        }
                    }
                    told = frames.into_iter().map(|frame| (frame.run_id, frame)).collect();
                }
                Err(error) => tracing::debug!(error = %error.chain(), "the progress of syncs could not be read"),
            }
        }
    }
}

type Row = (Uuid, String, Uuid, i64, Option<i64>, i32, Option<i64>, i64, Option<FailureClass>, Option<i64>);

async fn frames(db: &Db) -> Result<Vec<ProgressFrame>> {
    let running = instance::Entity::find()
        .select_only()
        .column(instance::Column::CurrentRunId)
        .filter(instance::Column::Status.eq(Status::Live))
        .filter(instance::Column::SyncState.eq(SyncState::Running));
    let rows: Vec<Row> = run::Entity::find()
        .select_only()
        .columns([
            run::Column::InstanceId,
            run::Column::IntegrationKey,
            run::Column::Id,
            run::Column::Seen,
            run::Column::Expected,
            run::Column::Pages,
            run::Column::StartedAt,
            run::Column::QueuedAt,
            run::Column::WaitingFor,
            run::Column::WaitingUntil,
        ])
        .filter(run::Column::Id.in_subquery(running.into_query()))
        .filter(run::Column::Pages.gt(0).or(run::Column::WaitingUntil.is_not_null()))
        .into_tuple()
        .all(db.read())
        .await?;
    let frame = |row: Row| {
        let (instance_id, integration_key, run_id, seen, expected, pages, started, queued, waiting_for, waiting_until) =
            row;
        let started_at = started.unwrap_or(queued);
        ProgressFrame {
            instance_id,
            integration_key,
            run_id,
            seen,
            expected,
            pages,
            started_at,
            waiting_for,
            waiting_until,
        }
    };
    Ok(rows.into_iter().map(frame).collect())
}
