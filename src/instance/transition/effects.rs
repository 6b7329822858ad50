//! Carries out the effects of the state machine.

use entity::job::Kind as JobKind;
use entity::notification::MailReason;
use entity::run::{self, FailureClass, Outcome, Trigger};
use sea_orm::{ActiveModelTrait, ActiveValue::Set, IntoActiveModel};

use super::{Transition, no_current_run};
use crate::directory::evaluations::{self, Changed};
use crate::directory::follow_up;
use crate::error::Result;
use crate::instance::runs::schedule;
use crate::instance::state::{Effect, HiddenUsers, RunRequest};
use crate::instance::{authorization, capability, grants, list, runs};
use crate::notification::outbox;
use crate::queue::{self, Priority};

impl Transition<'_> {
    pub(super) async fn carry_out_effect(&mut self, effect: Effect) -> Result<()> {
        match effect {
            Effect::QueueRun(request) => self.queue_run(request).await,
            Effect::StartRun => self.start_run().await,
            Effect::CompleteRun => self.complete_run().await,
            Effect::CancelRun => self.cancel_run().await,
            Effect::ScheduleRun { not_before, soon } => {
                let instance = &self.instance;
                let failures = if soon { instance.consecutive_failures } else { 0 };
                let due = if list::is_delivered(instance) {
                    // To say that nothing was delivered in time. Before the first delivery, nothing is awaited.
                    self.last_run.as_ref().map(|_| schedule::overdue(self.now, instance.sync_interval_minutes))
                } else {
                    Some(schedule::due(self.now, instance.sync_interval_minutes, failures, fastrand::f64()))
                };
                self.instance.next_sync_at = due.map(|due| not_before.map_or(due, |time| due.max(time)));
                Ok(())
            }
            Effect::ClearSchedule => {
                self.instance.next_sync_at = None;
                Ok(())
            }
            Effect::TryCredential { at } => {
                self.instance.next_try_at = Some(at);
                queue::cancel(self.tx, JobKind::Recovery, &[self.instance.id]).await?;
                queue::enqueue(self.tx, JobKind::Recovery, &[self.instance.id], at).await
            }
            Effect::EndTries => {
                self.instance.next_try_at = None;
                queue::cancel(self.tx, JobKind::Recovery, &[self.instance.id]).await
            }
            Effect::DestroyCredential => self.destroy_credential().await,
            Effect::HideUsers(users) => self.hide_users(users).await,
            Effect::EndRemoval => {
                self.instance.purging = false;
                follow_up::after_purge(self.tx, self.instance.id, self.now).await
            }
            Effect::DropMails => outbox::drop_queued(self.tx, self.instance.id).await,
            Effect::Revise => {
                self.instance.revision += i32::from(!self.revised);
                self.revised = true;
                Ok(())
            }
        }
    }
}

impl Transition<'_> {
    async fn queue_run(&mut self, request: RunRequest) -> Result<()> {
        let hung = self.last_run.as_ref().is_some_and(|run| run.failure_class == Some(FailureClass::Timeout));
        let priority = match request.trigger {
            Trigger::Initial | Trigger::Manual | Trigger::Reactivation => Priority::First,
            Trigger::Scheduled if hung => Priority::Last,
            Trigger::Scheduled => Priority::Usual,
        };
        let run = runs::queue::insert(self.tx, &self.instance, request, priority, self.now).await?;
        self.instance.current_run_id = Some(run.id);
        self.instance.next_sync_at = None;
        self.current_run = Some(run);
        Ok(())
    }

    async fn start_run(&mut self) -> Result<()> {
        let run = self.take_current_run()?;
        self.instance.run_number += 1;
        let run = run::ActiveModel {
            number: Set(self.instance.run_number),
            started_at: Set(Some(self.now)),
            users_before: Set(self.instance.user_count),
            manifest_digest: Set(run.manifest_digest.clone()),
            new_baseline: Set(run.new_baseline),
            ..run.into_active_model()
        };
        self.current_run = Some(run.update(self.tx.conn()).await?);
        Ok(())
    }

    async fn complete_run(&mut self) -> Result<()> {
        let run = self.take_current_run()?;
        run.clone().into_active_model().reset_all().update(self.tx.conn()).await?;
        list::take_over(self.tx, &mut self.instance, &run).await?;
        self.end_run(run).await
    }

    /// Deletes the job. Its worker then notices that the claim is lost, and stops.
    async fn cancel_run(&mut self) -> Result<()> {
        let run = self.take_current_run()?;
        queue::cancel(self.tx, JobKind::Sync, &[run.id]).await?;
        // The update returns the row with its latest counts: the worker may have stored a page just before its job
        // was deleted.
        let run = run::ActiveModel {
            id: Set(run.id),
            outcome: Set(Some(Outcome::Cancelled)),
            finished_at: Set(Some(self.now)),
            checkpoint: Set(None),
            waiting_for: Set(None),
            waiting_reason: Set(None),
            waiting_until: Set(None),
            mail_reason: Set(Some(MailReason::Cancelled)),
            ..Default::default()
        };
        let run = run.update(self.tx.conn()).await?;
        self.cancelled_run = Some(run.id);
        self.end_run(run).await
    }

    fn take_current_run(&mut self) -> Result<run::Model> {
        self.current_run.take().ok_or_else(no_current_run)
    }

    async fn end_run(&mut self, run: run::Model) -> Result<()> {
        self.instance.current_run_id = None;
        self.instance.last_run_id = Some(run.id);
        // The users that a run added stay, however it ended.
        self.instance.user_count += run.added - run.removed;
        follow_up::after_run(self.tx, &run, self.now).await?;
        self.last_run = Some(run);
        self.count_licenses().await
    }

    /// Users have changed, so their licences are counted again.
    async fn count_licenses(&self) -> Result<()> {
        queue::enqueue(self.tx, JobKind::Tally, &[self.instance.id], self.now).await
    }

    async fn destroy_credential(&mut self) -> Result<()> {
        self.instance.secrets = None;
        self.instance.credential_expires_at = None;
        grants::destroy(self.tx, self.instance.id).await?;
        authorization::forget(self.tx, self.instance.id).await
    }

    async fn hide_users(&mut self, users: HiddenUsers) -> Result<()> {
        let instance = &mut self.instance;
        instance.purge_through = match users {
            HiddenUsers::SeenSoFar => instance.run_number,
            HiddenUsers::All => i64::MAX,
        };
        match users {
            HiddenUsers::SeenSoFar => {
                list::forget(self.tx, instance).await?;
                capability::forget(self.tx, instance.id).await?;
                evaluations::request(self.tx, &[instance.id].into(), Changed::Accounts, self.now).await?;
            }
            HiddenUsers::All => {
                list::delete_all(self.tx, instance).await?;
                capability::delete(self.tx, instance.id).await?;
                follow_up::after_deletion(self.tx, instance.id, self.now).await?;
            }
        }
        if !instance.purging {
            instance.purged_users = 0;
        }
        instance.purging = true;
        instance.user_count = 0;
        instance.known_users = Some(0);
        queue::enqueue(self.tx, JobKind::Purge, &[instance.id], self.now).await?;
        self.count_licenses().await
    }
}
