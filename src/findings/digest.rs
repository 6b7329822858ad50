//! The weekly digest: the counts of the findings of a week, by mail to every recipient.

use std::sync::Arc;

use entity::digest::{ActiveModel, Column as Decided, Entity as Digests};
use entity::finding::{Column, Entity, Kind};
use entity::notification::NotificationKind;
use entity::report_setting;
use sea_orm::sea_query::{Expr, ExprTrait, OnConflict};
use sea_orm::{ActiveValue::Set, ColumnTrait, Condition, EntityTrait, PaginatorTrait, QueryFilter, QuerySelect};
use tracing::info;

use super::settings::RULES;
use crate::clock::{Clock, DAY_MS, date_of, day_of};
use crate::db::{Db, Tx};
use crate::error::Result;
use crate::notification::compose::{Digest, digest};
use crate::notification::outbox;

/// After how many milliseconds of a Monday (UTC) the digest of the week before is decided.
const MORNING_MS: i64 = 7 * 3_600_000;
/// The path of the list of findings in the console.
const PAGE: &str = "reports/findings";
const WEEK_MS: i64 = 7 * DAY_MS;

/// Decides weekly digests and writes their mails.
#[derive(Clone)]
pub struct Weekly {
    pub db: Db,
    pub clock: Clock,
    /// The URL that links in mails begin with.
    pub public_url: Arc<str>,
    /// The host in Message-IDs.
    pub mail_host: Arc<str>,
}

/// The Monday on whose morning the last digest was due, by its number.
fn last_due(now: i64) -> i32 {
    let day = day_of(now - MORNING_MS);
    // The first day of 1970 was a Thursday.
    day - (day + 3).rem_euclid(7)
}

impl Weekly {
    /// Sends what is due. Several servers may do so at the same time: each digest is decided by one of them.
    pub async fn send_due(&self) -> Result<()> {
        let monday = last_due(self.clock.now());
        let setting = report_setting::Entity::find_by_id(RULES).one(self.db.read()).await?;
        let since = setting.and_then(|setting| setting.digest_since);
        let due = i64::from(monday) * DAY_MS + MORNING_MS;
        if since.is_none_or(|since| since > due) || Digests::find_by_id(monday).one(self.db.read()).await?.is_some() {
            return Ok(());
        }
        let mails = self.db.write(|tx| async move { self.decide(&tx, monday).await }).await?;
        if let Some(mails) = mails {
            info!(mails, "a weekly digest was decided");
        }
        Ok(())
    }

    /// `None` if another server has decided it.
    async fn decide(&self, tx: &Tx, monday: i32) -> Result<Option<usize>> {
        let now = self.clock.now();
        let until = i64::from(monday) * DAY_MS;
        let types = types(tx, until - WEEK_MS, until, now).await?;
        let closed = Entity::find().filter(Column::ClosedAt.gte(until - WEEK_MS)).filter(Column::ClosedAt.lt(until));
        let closed = i64::try_from(closed.count(tx.conn()).await?).unwrap_or(i64::MAX);
        let is_empty = closed == 0 && types.iter().all(|(_, new, _)| *new == 0);
        let addresses = if is_empty { Vec::new() } else { outbox::addresses(tx, None, now).await? };
        let count = addresses.len();
        let row = ActiveModel {
            monday: Set(monday),
            decided_at: Set(now),
            mails: Set(i32::try_from(count).unwrap_or(i32::MAX)),
        };
        let once = OnConflict::column(Decided::Monday).do_nothing().to_owned();
        if Digests::insert(row).on_conflict(once).exec_without_returning(tx.conn()).await? == 0 {
            return Ok(None);
        }
        let types: Vec<_> = types.into_iter().map(|(kind, new, open)| (told(kind), new, open)).collect();
        let rendered = digest(&Digest {
            week: (date_of(monday - 7), date_of(monday - 1)),
            types: &types,
            closed,
            link: format!("{}/{PAGE}", self.public_url),
        });
        let name = format!("digest {monday}");
        let of = (NotificationKind::WeeklyDigest, None);
        outbox::enqueue_report(tx, of, (&name, &self.mail_host), addresses, &rendered, now).await?;
        Ok(Some(count))
    }
}

/// How many findings of each type are open and were opened between two times, and how many are open. Findings that are
/// accepted, or that could not be confirmed, are left out, and so are types without any.
async fn types(tx: &Tx, from: i64, until: i64, now: i64) -> Result<Vec<(Kind, i64, i64)>> {
    let is_new = Column::OpenedAt.gte(from).and(Column::OpenedAt.lt(until));
    let new = Expr::case(is_new, 1).finally(0);
    let not_accepted = Condition::any().add(Column::ExceptedUntil.is_null()).add(Column::ExceptedUntil.lte(now));
    let rows = Entity::find()
        .select_only()
        .column(Column::Kind)
        .expr_as(Expr::expr(new).sum().cast_as("bigint"), "new")
        .expr_as(Expr::col((Entity, Column::Id)).count(), "open")
        .filter(Column::ClosedAt.is_null())
        .filter(Column::Confirmed.eq(true))
        .filter(not_accepted)
        .group_by(Column::Kind);
    let mut rows: Vec<(Kind, i64, i64)> = rows.into_tuple().all(tx.conn()).await?;
    rows.sort_by_key(|(kind, ..)| *kind);
    Ok(rows)
}

fn told(kind: Kind) -> &'static str {
    match kind {
        Kind::AdminWithoutMfa => "Administrator without a second factor",
        Kind::LeaverActive => "Left, but the account is active",
        Kind::ExternalAdmin => "Administrator from outside",
        Kind::NoMfa => "No second factor",
        Kind::Conflict => "The address belongs to somebody else",
        Kind::Unmatched => "Nobody's account",
        Kind::UnownedService => "Program or shared account without an owner",
        Kind::Inactive => "Not used for long",
        Kind::NeverUsed => "Paid for and never used",
        Kind::Duplicate => "Several accounts of one person",
        Kind::External => "From outside",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_is_due_on_monday_morning() {
        // 2026-11-30 is a Monday.
        let monday = 20_787;
        assert_eq!(date_of(monday).to_string(), "2026-11-30");
        let at = |day: i32, hour: i64| i64::from(day) * DAY_MS + hour * 3_600_000;
        for (now, due) in [
            (at(monday, 7), monday),
            (at(monday, 7) - 1, monday - 7),
            (at(monday + 6, 23), monday),
            (at(monday + 7, 6), monday),
            (at(monday + 7, 7), monday + 7),
        ] {
            assert_eq!(last_due(now), due, "{now}");
        }
    }
}
