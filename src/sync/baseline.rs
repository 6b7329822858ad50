//! Which manifest a run uses. If it is not the one that listed the users before, differences may come from the
//! manifest and not from the application. The run is then a new baseline: it records no changed fields, and the
//! guards do not compare it with the previous users.

use sea_orm::{ActiveModelTrait, ActiveValue::Set};

use crate::db::Tx;
use crate::error::Result;
use crate::instance::transition::Transition;
use entity::run;

/// The remark of a run that is a new baseline.
pub(super) const REMARK: &str = "The connector of this application has changed since the last complete sync. This run \
    is a new baseline: what the connector reads differently is not recorded as changes of users, and the guards did \
    not hold it.";

/// Records the manifest of a run that starts or is taken over.
pub(super) async fn note(tx: &Tx, transition: &mut Transition<'_>, digest: Option<String>) -> Result<()> {
    let instance = transition.instance();
    let is_other = instance.last_success_at > 0 && instance.manifest_digest != digest;
    let run = transition.current_run_mut()?;
    if run.started_at.is_none() {
        // Written when the run is started.
        run.manifest_digest = digest;
        run.new_baseline = is_other;
    } else if run.manifest_digest != digest {
        // The run has used two manifests, so no digest describes it. The next run is then a new baseline too.
        run.manifest_digest = None;
        run.new_baseline = true;
        let row = run::ActiveModel {
            id: Set(run.id),
            manifest_digest: Set(None),
            new_baseline: Set(true),
            ..Default::default()
        };
        row.update(tx.conn()).await?;
    }
    Ok(())
}
