//! Recovery: after the server has switched an instance off, it tries the credential again by itself.
//!
//! This happens only after a refusal without a reason, because applications sometimes refuse a valid credential for a
//! while. Each try is a job, so it is made once, by one process. If a try succeeds, the instance is set live. An
//! explicit refusal, or a member who changes the status, ends the tries.

use std::time::Duration;

use entity::instance::Model;
use integration::source::{ErrorClass, SourceError, Verified};
use sea_orm::EntityTrait;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::connect::{PATIENCE, other_tenant};
use super::runs::schedule::JITTER;
use super::state::{Change, State};
use super::transition::Transition;
use super::{Instances, lock};
use crate::backoff::jittered;
use crate::clock::DAY_MS;
use crate::db::Tx;
use crate::error::Result;
use crate::queue::{self, Claim, worker::Handler};

/// How many credentials are tried at once.
pub const CONCURRENCY: usize = 8;
/// The time before each try. All tries are made within a day.
const DISTANCES: [Duration; 4] =
    [Duration::from_mins(15), Duration::from_hours(1), Duration::from_hours(4), Duration::from_hours(18)];
/// The same for a password: repeated failures may lock the account.
const DISTANCES_WITH_PASSWORD: [Duration; 2] = [Duration::from_hours(1), Duration::from_hours(18)];
/// The time before the next try if a try got no answer about the credential.
const AFTER_NO_ANSWER_MS: i64 = 3_600_000;
/// The pause before recording a try again after a database error.
const RECORD_PAUSE: Duration = Duration::from_secs(2);
/// The time before the next try if a member changed the instance during a try.
const AFTER_CHANGE_MS: i64 = 60_000;

/// When the credential is tried next, after `made` tries; `None` after the last one. `random` is from 0 to 1.
pub fn next_try(now: i64, made: i32, guessing_locks: bool, random: f64) -> Option<i64> {
    let distances: &[Duration] = if guessing_locks { &DISTANCES_WITH_PASSWORD } else { &DISTANCES };
    // The jitter only shortens the wait, so that all tries stay within a day.
    let wait = jittered(*distances.get(usize::try_from(made).ok()?)?, JITTER, random / 2.0);
    Some(now.saturating_add(i64::try_from(wait.as_millis()).ok()?))
}

/// The worker that makes the tries.
pub struct Recovery(pub Instances);

impl Handler for Recovery {
    async fn handle(&self, claim: Claim, stop: CancellationToken) -> Result<()> {
        let Recovery(instances) = self;
        let found = entity::instance::Entity::find_by_id(claim.subject).one(instances.db.read()).await?;
        let model = found.filter(|model| State::of(model).recovering);
        let answer = match &model {
            None => None,
            Some(_) if claim.take_overs > 0 => Some(Answer::Lost),
            Some(model) => match stop.run_until_cancelled(instances.try_credential(model)).await {
                Some(answer) => Some(answer),
                None => return queue::give_back(&instances.db, &claim, instances.clock.now()).await,
            },
        };
        let (claim, tried) = (&claim, &model.zip(answer));
        // The answer must be recorded, or the application would be asked again.
        loop {
            match instances.db.write(|tx| async move { instances.record_try(&tx, claim, tried.as_ref()).await }).await {
                Err(error) if error.is_passing() && !stop.is_cancelled() => {
                    warn!(error = %error.chain(), "the try of a credential could not be recorded; trying again");
                }
                recorded => return recorded,
            }
            tokio::time::sleep(RECORD_PAUSE).await;
        }
    }
}

/// What the application said about the credential.
enum Answer {
    Accepted(Verified),
    /// Refused again, without a reason.
    Refused,
    /// Refused explicitly, or accepted for another tenant.
    RefusedForGood,
    /// The application could not be reached, or did not answer about the credential.
    None,
    /// A worker that is gone has asked. It counts, and the application is not asked again at once.
    Lost,
}

impl Answer {
    fn of(known_tenant: Option<&str>, checked: Result<Verified, SourceError>) -> Self {
        match checked {
            Ok(verified) if other_tenant(known_tenant, &verified).is_some() => Answer::RefusedForGood,
            Ok(verified) => Answer::Accepted(verified),
            Err(error) => match error.class {
                ErrorClass::Token | ErrorClass::Permission if error.is_explicit() => Answer::RefusedForGood,
                ErrorClass::Token | ErrorClass::Permission => Answer::Refused,
                ErrorClass::RateLimit
                | ErrorClass::Transient
                | ErrorClass::Config
                | ErrorClass::Timeout
                | ErrorClass::Overdue
                | ErrorClass::Internal => Answer::None,
            },
        }
    }
}

impl Instances {
    async fn try_credential(&self, model: &Model) -> Answer {
        // An error is not the application's answer.
        let Ok(source) = self.source(model, model.run_number + 1) else { return Answer::None };
        let known = self.known_tenant(model);
        match tokio::time::timeout(PATIENCE, source.check()).await {
            Ok(checked) => Answer::of(known.as_deref(), checked),
            Err(_) => Answer::None,
        }
    }

    async fn record_try(&self, tx: &Tx, claim: &Claim, tried: Option<&(Model, Answer)>) -> Result<()> {
        let Some((model, answer)) = tried else {
            let _gone_either_way = queue::finish(tx, claim).await?;
            return Ok(());
        };
        let now = self.clock.now();
        let instance = lock(tx, model.id).await?;
        if !queue::finish(tx, claim).await? || !State::of(&instance).recovering {
            return Ok(());
        }
        let changed = instance.revision != model.revision;
        let accepted = !changed && matches!(answer, Answer::Accepted(_));
        info!(instance.id = %model.id, accepted, "the server tried the credential of an instance that it had switched off");
        let guessing_locks = self.guessing_locks(&instance);
        let mut transition = Transition::of(tx, instance, None, now).await?;
        let instance = transition.instance_mut();
        let change = match answer {
            _ if changed => Change::TryFailed { again: Some(now + AFTER_CHANGE_MS) },
            Answer::Accepted(verified) => {
                // A run that is refused all the same does not begin to count anew.
                instance.tries += 1;
                instance.tenant = verified.tenant.clone().or(instance.tenant.take());
                instance.credential_expires_at = verified.credential_expires_at.or(instance.credential_expires_at);
                Change::Recover
            }
            Answer::RefusedForGood => Change::TryFailed { again: None },
            Answer::Refused | Answer::Lost => {
                instance.tries += 1;
                Change::TryFailed { again: next_try(now, instance.tries, guessing_locks, fastrand::f64()) }
            }
            Answer::None => {
                let until = instance.inactive_since.unwrap_or(now) + DAY_MS;
                Change::TryFailed { again: Some(now + AFTER_NO_ANSWER_MS).filter(|at| *at < until) }
            }
        };
        transition.apply(change).await?;
        transition.commit().await?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tries_are_made_at_growing_distances_within_a_day() {
        for (guessing_locks, expected) in [(false, 4), (true, 2)] {
            let (mut at, mut made, mut waits) = (0, 0, Vec::new());
            while let Some(next) = next_try(at, made, guessing_locks, 1.0) {
                waits.push(next - at);
                (at, made) = (next, made + 1);
            }
            assert_eq!(waits.len(), expected);
            assert!(waits.is_sorted() && at < DAY_MS, "{waits:?}");
        }
    }
}
