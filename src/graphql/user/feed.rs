//! What all runs changed about users, as a feed that a program reads on and on.
//!
//! The changes of a run come with the event with which the run ended. Events have the order of their commits, and all
//! changes of a run were stored before its last event. So nothing appears before a place that somebody has read up to.

use std::ops::ControlFlow;

use async_graphql::{Context, Object};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use entity::user_change;
use uuid::Uuid;

use super::change::UserChange;
use crate::directory::changes;
use crate::directory::reported::Reported;
use crate::events;
use crate::graphql::api::Api;
use crate::graphql::error::ApiError;
use crate::graphql::page;
use crate::graphql::written::{Rows, Written, fields};
use crate::instance::event::history;

/// How many runs are looked at, at once.
const RUNS_AT_ONCE: u64 = 100;
/// How many times, in one page.
const LOOKS: usize = 5;

/// How far somebody has read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Position {
    /// The event with which a run ended.
    seq: i64,
    /// The last change of that run that was read.
    change: i64,
}

impl Position {
    /// Before everything that belongs to this event.
    fn before(seq: i64) -> Self {
        Self { seq, change: 0 }
    }

    fn encode(self, epoch: i64) -> String {
        URL_SAFE_NO_PAD.encode(format!("c{}.{}@{epoch}", self.seq, self.change))
    }

    /// `None`: this is no cursor of the feed. An error: of another log.
    fn decode(text: &str, epoch: i64) -> Option<Result<Self, ApiError>> {
        let text = String::from_utf8(URL_SAFE_NO_PAD.decode(text).ok()?).ok()?;
        let (position, log) = text.strip_prefix('c')?.split_once('@')?;
        let (seq, change) = position.split_once('.')?;
        let number = |text: &str| text.parse().ok().filter(|number| (0..i64::MAX).contains(number));
        let position = Self { seq: number(seq)?, change: number(change)? };
        Some(if log.parse() == Ok(epoch) { Ok(position) } else { Err(too_old()) })
    }
}

fn too_old() -> ApiError {
    let message = "The server no longer has all changes after this cursor. Read all users again, and begin the feed without \
                   a cursor.";
    ApiError::InvalidInput(message.into())
}

pub struct UserChangeFeed {
    changes: Vec<UserChange>,
    cursor: String,
    has_more: bool,
}

/// A part of the feed of changes of users.
#[fields]
#[Object]
impl UserChangeFeed {
    /// The changes, in the order in which their runs ended.
    async fn nodes(&self) -> Rows<&[UserChange]> {
        Rows(&self.changes)
    }

    /// Where the feed goes on: the next `after`, also if there is no change in this part.
    fn cursor(&self) -> &str {
        &self.cursor
    }

    /// Whether there may be more now. If not, ask again later.
    fn has_more(&self) -> bool {
        self.has_more
    }
}

/// A part that is being read.
struct Part {
    changes: Vec<(user_change::Model, Reported)>,
    position: Position,
    size: usize,
}

impl Part {
    /// Reads the changes of the next runs. Breaks when the part is full or the log has ended, with whether there may be
    /// more.
    async fn look(&mut self, api: &Api) -> Result<ControlFlow<bool>, ApiError> {
        let reader = api.instances.db.read();
        let begun = self.position;
        let (events, mut next) = history::ends_from(reader, &api.seen, begun.seq, RUNS_AT_ONCE).await?;
        let newest = events::newest(reader).await?;
        let left = self.size - self.changes.len();
        let (mut runs, mut most) = (Vec::new(), 0);
        for event in &events {
            let Some(run) = &event.snapshot.last_run else { continue };
            let changed = run.added + run.changed + run.removed;
            if changed > 0 {
                runs.push((event.seq, run.id));
                most += usize::try_from(changed).unwrap_or(0);
            }
            if most > left {
                next = event.seq + 1;
                break;
            }
        }
        let limit = left as u64 + 1;
        let (open, whole): (Vec<_>, Vec<_>) = runs.iter().partition(|(seq, _)| *seq == begun.seq && begun.change > 0);
        let ids = |runs: Vec<(i64, Uuid)>| runs.into_iter().map(|(_, run)| run).collect::<Vec<_>>();
        let mut found = changes::pages_by_run(reader, &ids(whole), None, None, limit).await?;
        found.extend(changes::pages_by_run(reader, &ids(open), None, Some(begun.change), limit).await?);
        for (seq, run) in runs {
            for (change, user) in found.remove(&run).unwrap_or_default() {
                if self.changes.len() == self.size {
                    return Ok(ControlFlow::Break(true));
                }
                self.position = Position { seq, change: change.id };
                self.changes.push((change, user));
            }
        }
        self.position = Position::before(next);
        Ok(if next > newest { ControlFlow::Break(false) } else { ControlFlow::Continue(()) })
    }
}

#[derive(Default)]
pub struct UserChangeQuery;

#[Object]
impl UserChangeQuery {
    /// The accounts that joined, left or changed, as the syncs found it: a feed for programs that follow the register. A
    /// change comes into the feed when its run has ended, also when the run has failed. Each one comes once, in an order
    /// that never changes. What is not in the feed: changes of users who were deleted since, and the first reading after
    /// the connector of an application has changed.
    ///
    /// Begin without a cursor, and give each `cursor` as the next `after`. The feed reaches back as far as the events do;
    /// a cursor before that is refused.
    #[graphql(complexity = "page::cost(first, child_complexity)")]
    async fn user_changes(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The size of the page, from 1 to 100; 20 by default.")] first: Option<i32>,
        #[graphql(desc = "The `cursor` of the part before.")] after: Option<String>,
    ) -> Result<Written<UserChangeFeed>, ApiError> {
        let api = ctx.data_unchecked::<Api>();
        let size = page::sized(first)?;
        let oldest = events::oldest(api.instances.db.read()).await?;
        let after = match after {
            None => Position::before(oldest),
            Some(text) => {
                let position = Position::decode(&text, api.epoch).ok_or_else(page::not_a_cursor)??;
                if position.seq < oldest {
                    return Err(too_old());
                }
                position
            }
        };
        let mut part = Part { changes: Vec::new(), position: after, size };
        let mut has_more = true;
        for _ in 0..LOOKS {
            if let ControlFlow::Break(more) = part.look(api).await? {
                has_more = more;
                break;
            }
        }
        let cursor = part.position.encode(api.epoch);
        Ok(Written(UserChangeFeed { changes: UserChange::list(part.changes), cursor, has_more }))
    }
}
