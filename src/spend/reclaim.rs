//! Whether a holder still needs a licence: the one place that says so.
//!
//! A licence is reclaimable for the *first* reason that holds, so that the reasons of a licence add up. Ages are measured
//! against the time as of which the last activity is known, and never against the clock: an application that cannot be
//! reached makes nobody inactive.

use entity::account_link;
use entity::person;
use entity::user::{AccountKind, Column, UserStatus};
use integration::user::Timestamp;
use sea_orm::ColumnTrait;
use sea_orm::sea_query::{CaseStatement, Expr, ExprTrait, Func, SimpleExpr};

use crate::clock::DAY_MS;

/// After how many days without activity a holder is inactive.
pub const INACTIVE_DAYS: i64 = 90;

/// Why a licence can be taken back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, async_graphql::Enum)]
#[graphql(name = "ReclaimReason")]
pub enum Reason {
    /// The person has left, as the people sources say.
    Left,
    /// The account is suspended.
    Suspended,
    /// The account of a person was never active, and is older than 90 days.
    Never,
    /// The account of a person is active by its status, and was not used for 90 days.
    Inactive,
}

impl Reason {
    /// In their order.
    pub const ALL: [Self; 4] = [Self::Left, Self::Suspended, Self::Never, Self::Inactive];
}

/// What is known of a holder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// The licence is needed, as far as this can be seen.
    Needed = 0,
    Suspended = 1,
    Never = 2,
    Inactive = 3,
    /// Neither the last activity is known, nor that there was none.
    Silent = 4,
    /// Never active, but it is not known for how long there has been the account.
    NeverOfUnknownAge = 5,
    /// Not used for long, but the status is unknown.
    InactiveOfUnknownStatus = 6,
}

impl Class {
    /// Of the number that [`class`] selects.
    pub fn of(number: i64) -> Self {
        let all = [
            Self::Needed,
            Self::Suspended,
            Self::Never,
            Self::Inactive,
            Self::NeverOfUnknownAge,
            Self::InactiveOfUnknownStatus,
        ];
        all.into_iter().find(|class| *class as i64 == number).unwrap_or(Self::Silent)
    }
}

/// Whether the person of an account has left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// No, or nobody in particular uses the account.
    Stays = 0,
    Left = 1,
    /// No people source says it.
    Unknown = 2,
}

impl Standing {
    /// Of the number that [`standing`] selects.
    pub fn of(number: i64) -> Self {
        [Self::Stays, Self::Left].into_iter().find(|standing| *standing as i64 == number).unwrap_or(Self::Unknown)
    }
}

/// Selects the number of an account's [`Standing`]. The link and the person are joined.
pub fn standing() -> SimpleExpr {
    let is = |standing: Standing| Expr::value(standing as i64);
    let state = || Expr::col((account_link::Entity, account_link::Column::State));
    let person = |state: person::State| Expr::col((person::Entity, person::Column::State)).eq(state);
    let linked = || state().eq(account_link::State::Linked);
    CaseStatement::new()
        .case(is_nobodys(), is(Standing::Stays))
        .case(state().is_in([account_link::State::NotPersonal, account_link::State::Nobody]), is(Standing::Stays))
        .case(linked().and(person(person::State::Left)), is(Standing::Left))
        .case(linked().and(person(person::State::Current)), is(Standing::Stays))
        .finally(is(Standing::Unknown))
        .into()
}

/// What programs and several people use. What a member has decided counts first.
fn is_nobodys() -> SimpleExpr {
    let decided = Expr::col((account_link::Entity, account_link::Column::Kind));
    let kind = Expr::expr(Func::coalesce([decided, Expr::col(Column::Kind.as_column_ref())]));
    kind.is_in([AccountKind::Service, AccountKind::Shared])
}

/// Selects the department of an account's person: empty if none is known, and null if there is no person. The link and
/// the person are joined.
pub fn department() -> SimpleExpr {
    let linked = Expr::col((account_link::Entity, account_link::Column::State)).eq(account_link::State::Linked);
    let person = Expr::col((person::Entity, person::Column::Id)).is_not_null();
    let department = Expr::col((person::Entity, person::Column::Department));
    let known = Func::coalesce([department, Expr::value("")]);
    CaseStatement::new().case(linked.and(person), known).finally(Expr::cust("NULL")).into()
}

/// Selects the number of an account's [`Class`]. The link is joined. `as_of` is as of when the last activity is known.
pub fn class(as_of: Option<i64>) -> SimpleExpr {
    let is = |class: Class| Expr::value(class as i64);
    let cases = CaseStatement::new()
        .case(Column::Status.eq(UserStatus::Suspended), is(Class::Suspended))
        // They are not looked at by their activity.
        .case(is_nobodys(), is(Class::Needed));
    let Some(as_of) = as_of else { return cases.finally(is(Class::Silent)).into() };
    let before = as_of.saturating_sub(INACTIVE_DAYS * DAY_MS);
    // If the application does not say when an account was made, it is at least as old as it is known.
    let made =
        Expr::expr(Func::coalesce([Column::CreatedAt, Column::FirstSeenAt].map(|it| Expr::col(it.as_column_ref()))));
    let inactive = |status: UserStatus| Column::LastActiveAt.lt(before).and(Column::Status.eq(status));
    cases
        .case(Column::CreatedAt.gte(before), is(Class::Needed))
        .case(Column::LastActiveAt.is_null(), is(Class::Silent))
        .case(never().and(made.lt(before)), is(Class::Never))
        .case(never(), is(Class::NeverOfUnknownAge))
        .case(inactive(UserStatus::Active), is(Class::Inactive))
        .case(inactive(UserStatus::Unknown), is(Class::InactiveOfUnknownStatus))
        .finally(is(Class::Needed))
        .into()
}

/// The application says that there was no activity at all.
fn never() -> SimpleExpr {
    Column::LastActiveAt.eq(Timestamp::NEVER.0)
}
