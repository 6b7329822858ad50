//! How fresh the users of an instance are. Computed on demand, never stored.

use entity::instance::Model;

/// How long users are fresh, in milliseconds for each minute of the sync interval: for two intervals.
pub(super) const STALE_AFTER_MS: i64 = 2 * 60_000;

/// Whether the users of an instance are up to date.
#[derive(Clone, Copy, Debug, PartialEq, Eq, async_graphql::Enum)]
#[graphql(name = "FreshnessState")]
pub enum FreshnessState {
    /// No run has succeeded yet.
    Never,
    /// The last successful run is less than two sync intervals ago.
    Fresh,
    /// The instance is not live, or no run has succeeded for two sync intervals.
    Stale,
}

/// How fresh an instance's users are; times in Unix milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Freshness {
    pub state: FreshnessState,
    /// When the last successful run finished, or its list was delivered.
    pub as_of: Option<i64>,
    pub stale_since: Option<i64>,
}

impl Freshness {
    /// Of an instance's users, at `now`.
    pub fn of(model: &Model, now: i64) -> Self {
        if model.last_success_at == 0 {
            return Freshness { state: FreshnessState::Never, as_of: None, stale_since: None };
        }
        let (as_of, overdue) = (Some(model.last_success_at), overdue(model));
        let stale_since = match model.inactive_since {
            Some(since) => Some(since.min(overdue)),
            None => (now > overdue).then_some(overdue),
        };
        let state = if stale_since.is_some() { FreshnessState::Stale } else { FreshnessState::Fresh };
        Freshness { state, as_of, stale_since }
    }
}

/// The last moment at which the users are fresh, if no run succeeds until then.
fn overdue(model: &Model) -> i64 {
    model.last_success_at + i64::from(model.sync_interval_minutes) * STALE_AFTER_MS
}

/// When the freshness changes, if nothing is stored until then; `None` if it stays as it is.
pub fn changes_at(model: &Model, now: i64) -> Option<i64> {
    let change = overdue(model) + 1;
    (change > now).then_some(change)
}
