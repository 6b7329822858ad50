//! When credentials expire, if that is known, and the notice that warns before.

use entity::instance::{Column, Entity, Model, Status};
use sea_orm::sea_query::Expr;
use sea_orm::{ColumnTrait, Condition, EntityTrait, QueryFilter};

use super::notice::{About, Notice, RemedyAction, Severity, here, there};
use crate::clock::date_time;
use crate::db::Tx;
use crate::error::Result;

/// How long before the end the notice appears, in milliseconds: two weeks.
pub const AHEAD_MS: i64 = 14 * 24 * 3_600_000;

/// Stores when the credential expires, as a run has learned. `instance` is the row with which the run began. If a
/// member has changed it since, nothing is stored, because it may have another credential.
pub async fn store(tx: &Tx, instance: &Model, at: i64) -> Result<()> {
    let other = Condition::any().add(Column::CredentialExpiresAt.is_null()).add(Column::CredentialExpiresAt.ne(at));
    let changed = Entity::update_many()
        .col_expr(Column::CredentialExpiresAt, Expr::value(at))
        .filter(Column::Id.eq(instance.id))
        .filter(Column::Revision.eq(instance.revision))
        .filter(other)
        .exec(tx.conn())
        .await?;
    if changed.rows_affected > 0 {
        tx.note_unlogged();
    }
    Ok(())
}

/// When the warning appears, or says something else, if nothing is stored until then; `None` if it stays as it is.
pub fn changes_at(model: &Model, now: i64) -> Option<i64> {
    let at = model.credential_expires_at?;
    [at - AHEAD_MS, at].into_iter().find(|change| *change > now)
}

/// Whether the credential expires within two weeks, or has expired.
pub(super) fn is_near(model: &Model, now: i64) -> bool {
    // If a sync succeeded after the end, the application has extended the credential without saying until when.
    let extended = |at: i64| at <= now && model.last_success_at > at;
    model.credential_expires_at.is_some_and(|at| at - AHEAD_MS <= now && !extended(at))
}

/// The warning, from two weeks before the end on.
pub(super) fn notice(model: &Model, about: About, now: i64) -> Option<Notice> {
    let warned = model.status == Status::Live && is_near(model, now);
    let at = model.credential_expires_at.filter(|_| warned)?;
    let About { integration, consents, .. } = about;
    let day = date_time(at).format("%Y-%m-%d %H:%M UTC");
    let (title, detail) = if at > now {
        ("The credential expires soon", format!("{integration} accepts it until {day}. After that, syncs fail."))
    } else {
        (
            "The credential has expired",
            format!("{integration} was expected to accept it until {day}, and may refuse it at any time."),
        )
    };
    let remedies = if consents {
        vec![here("Consent again", RemedyAction::Consent)]
    } else {
        vec![
            there(format!("Make a new one in {integration}")),
            here("Reconnect with the new credential", RemedyAction::Reconnect),
        ]
    };
    // The notice cannot be older than the instance.
    let since = (at - AHEAD_MS).max(model.created_at);
    Some(Notice { severity: Severity::Warning, title: title.into(), detail, since, remedies })
}
