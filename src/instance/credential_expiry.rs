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
    let About { integration, consents } = about;
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

#[cfg(test)]
mod tests {
    use entity::instance::Model;
    use serde_json::json;

    #[test]
    fn events_from_before_the_expiry_was_stored_can_be_read() {
        let old = json!({ "id": "01890a5d-ac96-774b-bcce-b302099a8057", "integration_key": "okta", "name": "Acme",
            "name_key": "acme", "status": "live", "inactive_reason": null, "inactive_since": null, "sync_state": "idle",
            "health": "ok", "failing_since": null, "consecutive_failures": 0, "revocation_mailed": false,
            "last_success_at": 1, "tenant": null, "created_by": "ada", "created_by_email": null, "created_at": 1,
            "updated_at": 1, "revision": 1, "config": {}, "sync_interval_minutes": 60, "next_sync_at": null,
            "user_count": 0, "last_run_id": null, "current_run_id": null, "run_number": 1, "purge_through": -1,
            "purging": false, "purged_users": 0 });
        let model: Model = serde_json::from_value(old).unwrap();
        assert_eq!(model.credential_expires_at, None);
    }
}
