//! What an instance is in one word, and whether somebody should look at it. Computed from its row, never stored.
//!
//! A list shows the headlines of its rows, and a filter or a count must find them in the database. So the [`TABLE`] says
//! once which rows have which headline: [`Headline::of`] applies it to a row, and [`Sql`] makes an expression of it.

use entity::instance::{Column, Health, InactiveReason, Model, Status};
use entity::run::FailureClass;
use sea_orm::sea_query::{CaseStatement, Expr, ExprTrait, Func, SimpleExpr};
use sea_orm::{ColumnTrait, Condition, EnumIter, Iterable};
use serde::{Deserialize, Serialize};

use super::credential_expiry::{self, AHEAD_MS};
use super::freshness::{self, Freshness, FreshnessState, STALE_AFTER_MS};

/// The state of an instance in one word, for a list. If several words fit, it is the first of them.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, EnumIter, Serialize, Deserialize, async_graphql::Enum,
)]
#[serde(rename_all = "snake_case")]
#[graphql(name = "InstanceHeadline")]
pub enum Headline {
    /// It and its users are being removed, or have been.
    Deleting,
    /// The server set it inactive, because the application refuses the credential.
    Revoked,
    /// A member set it inactive.
    SwitchedOff,
    /// The removal guard or the growth guard refused its last completed run. A member must accept what the run would do.
    Held,
    /// Its last completed run failed.
    Failing,
    /// Its last completed run succeeded, but could not read every part of the user list whole.
    Partial,
    /// No run has completed yet.
    FirstSync,
    /// Its last completed run succeeded.
    Healthy,
}

/// What rows a headline is about. An empty list stands for every value.
struct Fits {
    status: &'static [Status],
    reason: &'static [InactiveReason],
    health: &'static [Health],
    failure: &'static [FailureClass],
}

const ANY: Fits = Fits { status: &[], reason: &[], health: &[], failure: &[] };

/// The first that fits is the headline of a row.
const TABLE: [(Headline, Fits); 8] = [
    (Headline::Deleting, Fits { status: &[Status::Deleting, Status::Deleted], ..ANY }),
    (
        Headline::Revoked,
        Fits {
            status: &[Status::Inactive],
            reason: &[InactiveReason::TokenInactive, InactiveReason::InsufficientPermissions],
            ..ANY
        },
    ),
    (Headline::SwitchedOff, Fits { status: &[Status::Inactive], ..ANY }),
    (
        Headline::Held,
        Fits { health: &[Health::Failing], failure: &[FailureClass::RemovalGuard, FailureClass::GrowthGuard], ..ANY },
    ),
    (Headline::Failing, Fits { health: &[Health::Failing], ..ANY }),
    (Headline::Partial, Fits { health: &[Health::Partial], ..ANY }),
    (Headline::FirstSync, Fits { health: &[Health::Pending], ..ANY }),
    (Headline::Healthy, ANY),
];

/// The headlines of instances that somebody should look at.
const TROUBLE: [Headline; 4] = [Headline::Revoked, Headline::Held, Headline::Failing, Headline::Partial];

impl Headline {
    /// Of a row.
    pub fn of(model: &Model) -> Self {
        TABLE.iter().find(|(_, fits)| fits.row(model)).map_or(Headline::Healthy, |(headline, _)| *headline)
    }

    /// As statements give it.
    fn text(self) -> &'static str {
        match self {
            Headline::Deleting => "deleting",
            Headline::Revoked => "revoked",
            Headline::SwitchedOff => "switched_off",
            Headline::Held => "held",
            Headline::Failing => "failing",
            Headline::Partial => "partial",
            Headline::FirstSync => "first_sync",
            Headline::Healthy => "healthy",
        }
    }

    /// All of them, in their order.
    pub fn all() -> impl Iterator<Item = Headline> {
        Headline::iter()
    }
}

impl Fits {
    fn row(&self, model: &Model) -> bool {
        fn has<T: PartialEq>(wanted: &[T], value: Option<&T>) -> bool {
            wanted.is_empty() || value.is_some_and(|value| wanted.contains(value))
        }
        has(self.status, Some(&model.status))
            && has(self.reason, model.inactive_reason.as_ref())
            && has(self.health, Some(&model.health))
            && has(self.failure, model.failure_class.as_ref())
    }

    fn condition(&self) -> Condition {
        fn values<T: Copy + Into<sea_orm::Value>>(values: &[T]) -> Vec<sea_orm::Value> {
            values.iter().map(|value| (*value).into()).collect()
        }
        let list =
            |column: Column, values: Vec<sea_orm::Value>| (!values.is_empty()).then(|| Expr::col(column).is_in(values));
        Condition::all()
            .add_option(list(Column::Status, values(self.status)))
            .add_option(list(Column::InactiveReason, values(self.reason)))
            .add_option(list(Column::Health, values(self.health)))
            .add_option(list(Column::FailureClass, values(self.failure)))
    }
}

/// What filters look at that is not a column.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Standing {
    pub headline: Headline,
    pub stale: bool,
    pub needs_attention: bool,
}

impl Standing {
    /// Of an instance at `now`.
    pub fn of(model: &Model, now: i64) -> Self {
        let headline = Headline::of(model);
        let stale = Freshness::of(model, now).state == FreshnessState::Stale;
        let reports_nobody = model.health == Health::Ok && model.user_count == 0;
        let live_trouble = stale || reports_nobody || credential_expiry::is_near(model, now);
        let needs_attention = TROUBLE.contains(&headline) || (model.status == Status::Live && live_trouble);
        Standing { headline, stale, needs_attention }
    }
}

/// When the standing changes, if nothing is stored until then; `None` if it stays as it is.
pub fn changes_at(model: &Model, now: i64) -> Option<i64> {
    let changes = [freshness::changes_at(model, now), credential_expiry::changes_at(model, now)];
    changes.into_iter().flatten().min()
}

/// The same as expressions over the columns of instances, at this time in Unix milliseconds.
#[derive(Clone, Copy)]
pub struct Sql {
    pub now: i64,
}

impl Sql {
    /// The headline, as a text.
    pub fn headline() -> SimpleExpr {
        let case = TABLE.iter().fold(CaseStatement::new(), |case, (headline, fits)| match headline {
            Headline::Healthy => case.finally(headline.text()),
            other => case.case(fits.condition(), other.text()),
        });
        case.into()
    }

    pub fn has_headline(headlines: &[Headline]) -> SimpleExpr {
        Self::headline().is_in(headlines.iter().map(|headline| headline.text()))
    }

    pub fn is_stale(self) -> Condition {
        let stale = Condition::any().add(Column::InactiveSince.is_not_null()).add(overdue().lt(self.now));
        Condition::all().add(Column::LastSuccessAt.ne(0)).add(stale)
    }

    pub fn needs_attention(self) -> Condition {
        let reports_nobody = Condition::all().add(Column::Health.eq(Health::Ok)).add(Column::UserCount.eq(0));
        let live = Condition::any().add(self.is_stale()).add(reports_nobody).add(self.expires_soon());
        Condition::any()
            .add(Self::has_headline(&TROUBLE))
            .add(Condition::all().add(Column::Status.eq(Status::Live)).add(live))
    }

    /// No part is null, so that the opposite can be asked for, too.
    fn expires_soon(self) -> Condition {
        let expiry = || Expr::col(Column::CredentialExpiresAt);
        let extended = Condition::any()
            .add(expiry().gt(self.now))
            .add(Expr::col(Column::LastSuccessAt).lte(Expr::col(Column::CredentialExpiresAt)));
        Condition::all().add(expiry().is_not_null()).add(expiry().lte(self.now + AHEAD_MS)).add(extended)
    }

    /// The next moments at which the standing of a row of a group changes. Each is null if there is none.
    pub fn changes(self) -> [SimpleExpr; 3] {
        let expiry = || Expr::col(Column::CredentialExpiresAt);
        let next = |change: SimpleExpr| {
            let future: SimpleExpr = CaseStatement::new().case(change.clone().gt(self.now), change).into();
            Func::min(future).into()
        };
        [overdue().add(1_i64), expiry().sub(AHEAD_MS), expiry()].map(next)
    }
}

/// The last moment at which the users are fresh, as [`freshness`] has it.
fn overdue() -> SimpleExpr {
    let interval = Expr::col(Column::SyncIntervalMinutes).cast_as("BIGINT");
    Expr::col(Column::LastSuccessAt).add(interval.mul(STALE_AFTER_MS))
}
