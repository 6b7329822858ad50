//! When credentials end, as far as it is known, and who is warned of it.

use entity::instance::{Column, Entity, Model, Status};
use sea_orm::sea_query::Expr;
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter};

use super::notice::{About, Notice, Severity, here, there};
use crate::clock::date_time;
use crate::db::Tx;
use crate::error::Result;

/// How long before the end the notice appears, in milliseconds: two weeks.
pub const AHEAD_MS: i64 = 14 * 24 * 3_600_000;

/// Stores when the credential ends, as a run has learned it. `instance` is the row with which the
/// run began: if a member has changed it since, it may have another credential.
pub async fn store(tx: &Tx, instance: &Model, at: i64) -> Result<()> {
    Entity::update_many()
        .col_expr(Column::CredentialExpiresAt, Expr::value(at))
        .filter(Column::Id.eq(instance.id))
        .filter(Column::Revision.eq(instance.revision))
        .exec(tx.conn())
        .await?;
    Ok(())
}

/// The warning, when it is time for it.
pub(super) fn notice(model: &Model, about: About, now: i64) -> Option<Notice> {
    let at = model.credential_expires_at.filter(|at| model.status == Status::Live && at - AHEAD_MS <= now)?;
    if at <= now && model.last_success_at > at {
        // It has been given more time, and the application does not say how much.
        return None;
    }
    let About { integration, consents, .. } = about;
    let day = date_time(at).format("%Y-%m-%d %H:%M UTC");
    let (title, detail) = if at > now {
        ("The credential expires soon", format!("{integration} accepts it until {day}. After that, syncs fail."))
    } else {
        (
            "The credential has expired",
            format!("{integration} was to accept it until {day}, and may refuse it any time."),
        )
    };
    let remedies = if consents {
        vec![here("Consent again", "beginAuthorization")]
    } else {
        vec![
            there(format!("Make a new one in {integration}")),
            here("Reconnect with the new credential", "updateInstance"),
        ]
    };
    // Nobody could be warned before the instance was there.
    let since = (at - AHEAD_MS).max(model.created_at);
    Some(Notice { severity: Severity::Warning, title: title.into(), detail, since, remedies })
}
