//! Every effect that the state machine decides is carried out: after a transition, the database agrees with the steps.

use entity::instance::{self, Model, Status, SyncState};
use entity::job::{self, Kind};
use entity::notification::{self, NotificationKind, NotificationState};
use entity::run::{self, Outcome, Trigger};
use entity::{event, oauth_authorization, oauth_grant};
use muster::db::{Db, Tx};
use muster::error::{Error, Result};
use muster::instance::event::{Event, Previous};
use muster::instance::state::{Accepted, Change, Completion, Effect, HiddenUsers, Revocation, RunRequest, State, Step};
use muster::instance::transition::Transition;
use muster::queue;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use sea_orm::{ActiveModelTrait, ColumnTrait, EntityTrait, IntoActiveModel, PaginatorTrait, QueryFilter, QueryOrder};
use serde_json::json;
use uuid::Uuid;

use crate::support::Place;

const ACTOR: &str = "ada@example.com";
const INTERVAL_MS: i64 = 60 * 60_000;
/// When the credential is tried.
const TRY_AT: i64 = 70_000;
/// How many users each run adds.
const ADDED: i64 = 3;

fn queue(trigger: Trigger, removals: bool) -> Change {
    let accepted = Accepted { removals, growth: !removals };
    Change::Queue(RunRequest { trigger, accepted })
}

fn changes() -> impl Strategy<Value = Vec<Change>> {
    let fail = |revoke, not_before| Change::Complete(Completion::Failed { revoke, not_before, soon: false });
    let revoke = |try_at| {
        let reason = instance::InactiveReason::TokenInactive;
        Change::Complete(Completion::Failed {
            revoke: Some(Revocation { reason, try_at }),
            not_before: None,
            soon: true,
        })
    };
    let change = prop_oneof![
        4 => Just(queue(Trigger::Manual, true)),
        2 => Just(queue(Trigger::Scheduled, false)),
        6 => Just(Change::Start),
        3 => Just(Change::Complete(Completion::Succeeded)),
        1 => Just(Change::Complete(Completion::Partial)),
        2 => Just(fail(None, None)),
        1 => Just(fail(None, Some(i64::from(u32::MAX)))),
        1 => Just(Change::Complete(Completion::Failed { revoke: None, not_before: None, soon: true })),
        1 => Just(Change::Wait),
        1 => Just(Change::Resume),
        3 => prop::option::of(Just(TRY_AT)).prop_map(revoke),
        1 => Just(Change::Recover),
        2 => prop::option::of(Just(TRY_AT)).prop_map(|again| Change::TryFailed { again }),
        2 => Just(Change::Cancel),
        2 => Just(Change::Edit),
        2 => Just(Change::Deactivate),
        3 => Just(Change::Activate),
        1 => Just(Change::ActivateWaiting),
        1 => Just(Change::DeleteUsers),
        1 => Just(Change::UsersRemoved),
    ];
    (prop::collection::vec(change, 1..16), any::<bool>()).prop_map(|(mut changes, delete)| {
        if delete {
            changes.extend([Change::Delete, queue(Trigger::Manual, false), Change::UsersRemoved, Change::Delete]);
        }
        changes
    })
}

#[test]
fn every_effect_is_carried_out() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let place = Place::new();
    let db = runtime.block_on(place.open());
    let mut runner = TestRunner::new(Config { cases: 40, failure_persistence: None, ..Config::default() });
    let played = runner.run(&changes(), |changes| {
        runtime.block_on(play(&db, &changes));
        Ok(())
    });
    played.unwrap_or_else(|error| panic!("{error}"));
    runtime.block_on(db.close()).unwrap();
}

async fn play(db: &Db, changes: &[Change]) {
    let id = create(db).await;
    for (now, change) in (2_000..).zip(changes) {
        let before = Register::read(db, id).await;
        let steps = State::of(&before.instance).apply(*change, now);
        let applied = db.write(|tx| async move { apply(&tx, id, *change, now).await }).await;
        let after = Register::read(db, id).await;
        match steps {
            Ok(steps) => {
                applied.unwrap_or_else(|error| panic!("{change:?}: {error}"));
                after.agrees_with(&before, &steps, now);
            }
            Err(refusal) => {
                assert!(matches!(applied, Err(Error::Refused(told)) if told == [refusal]), "{change:?}");
                assert_eq!(after, before, "{change:?} was refused");
            }
        }
    }
}

/// Applies a change as the job's worker would.
async fn apply(tx: &Tx, id: Uuid, change: Change, now: i64) -> Result<()> {
    let mut transition = Transition::begin(tx, id, Some(ACTOR), now).await?;
    if matches!(change, Change::Complete(_))
        && let Ok(run) = transition.current_run_mut()
    {
        queue::cancel(tx, Kind::Sync, &[run.id]).await?;
        run.outcome = Some(Outcome::Succeeded);
        run.finished_at = Some(now);
        run.added = ADDED;
    }
    if change == Change::UsersRemoved {
        queue::cancel(tx, Kind::Purge, &[id]).await?;
    }
    if matches!(change, Change::Recover | Change::TryFailed { .. }) {
        queue::cancel(tx, Kind::Recovery, &[id]).await?;
    }
    transition.apply(change).await?;
    let _ = transition.commit().await?;
    Ok(())
}

/// An instance with a secret, a grant, a consent in progress and a queued mail.
#[expect(clippy::too_many_lines, reason = "one row, every column")]
async fn create(db: &Db) -> Uuid {
    let id = Uuid::now_v7();
    let instance = &Model {
        id,
        integration_key: "scim".into(),
        name: id.to_string(),
        name_key: id.to_string(),
        status: Status::Live,
        inactive_reason: None,
        inactive_since: None,
        sync_state: SyncState::Queued,
        health: instance::Health::Pending,
        failing_since: None,
        consecutive_failures: 0,
        failure_class: None,
        revocation_mailed: false,
        last_success_at: 0,
        tenant: None,
        created_by: ACTOR.into(),
        created_by_email: Some(ACTOR.into()),
        created_at: 1_000,
        updated_at: 1_000,
        revision: 1,
        config: json!({ "base_url": "https://scim.example.com", "token": null }),
        secrets: Some(vec![1, 2, 3]),
        secrets_generation: 0,
        credential_expires_at: Some(9_000),
        sync_interval_minutes: 60,
        next_sync_at: None,
        next_try_at: None,
        tries: 0,
        user_count: 0,
        last_run_id: None,
        current_run_id: None,
        run_number: 0,
        purge_through: -1,
        purging: false,
        purged_users: 0,
        manifest_digest: None,
        known_users: Some(0),
    };
    db.write(|tx| async move {
        let _ = Transition::create(&tx, instance.clone(), ACTOR, 1_000).await?.commit().await?;
        let grant =
            oauth_grant::Model { instance_id: id, sealed: vec![1], generation: 1, lease_owner: None, lease_until: 0 };
        grant.into_active_model().reset_all().insert(tx.conn()).await?;
        let consent = oauth_authorization::Model {
            state_hash: id.as_bytes().repeat(2),
            browser_hash: None,
            integration_key: "scim".into(),
            instance_id: Some(id),
            name: None,
            sync_interval_minutes: None,
            sealed: vec![1],
            token_id: id,
            actor: ACTOR.into(),
            created_at: 1_000,
            expires_at: 9_000,
            own_redirect: true,
        };
        consent.into_active_model().reset_all().insert(tx.conn()).await?;
        mail(id).into_active_model().reset_all().insert(tx.conn()).await?;
        queue::enqueue(&tx, Kind::Mail, &[id], 1_000).await
    })
    .await
    .unwrap();
    let created = Register::read(db, id).await;
    let step = State::create();
    assert_eq!(State::of(&created.instance), step.state);
    created.has_queued(RunRequest::guarded(Trigger::Initial));
    assert_eq!(created.events.len(), 1);
    id
}

fn mail(id: Uuid) -> notification::Model {
    notification::Model {
        id,
        kind: NotificationKind::SyncFailed,
        state: NotificationState::Queued,
        instance_id: Some(id),
        run_id: None,
        address: ACTOR.into(),
        address_key: ACTOR.into(),
        subject: String::new(),
        text: String::new(),
        html: String::new(),
        message_id: id.to_string(),
        in_reply_to: None,
        reason: None,
        stands_for: None,
        attempts: 0,
        last_error: None,
        created_at: 1_000,
        sent_at: None,
    }
}

/// Everything that the database holds about an instance.
#[derive(Debug, PartialEq)]
struct Register {
    instance: Model,
    runs: Vec<run::Model>,
    /// The jobs of the instance and its runs.
    jobs: Vec<(Kind, Uuid)>,
    grants: u64,
    consents: u64,
    queued_mails: u64,
    events: Vec<event::Model>,
}

impl Register {
    async fn read(db: &Db, id: Uuid) -> Self {
        let conn = db.read();
        let instance = instance::Entity::find_by_id(id).one(conn).await.unwrap().expect("the instance");
        let runs = run::Entity::find().filter(run::Column::InstanceId.eq(id)).order_by_asc(run::Column::Id);
        let runs = runs.all(conn).await.unwrap();
        let subjects = runs.iter().map(|run| run.id).chain([id]);
        let jobs = job::Entity::find().filter(job::Column::Subject.is_in(subjects)).order_by_asc(job::Column::Id);
        let consents = oauth_authorization::Entity::find().filter(oauth_authorization::Column::InstanceId.eq(id));
        let mails = notification::Entity::find()
            .filter(notification::Column::InstanceId.eq(id))
            .filter(notification::Column::State.eq(NotificationState::Queued));
        let events = event::Entity::find().filter(event::Column::InstanceId.eq(id)).order_by_asc(event::Column::Seq);
        Register {
            instance,
            runs,
            jobs: jobs.all(conn).await.unwrap().into_iter().map(|job| (job.kind, job.subject)).collect(),
            grants: oauth_grant::Entity::find_by_id(id).count(conn).await.unwrap(),
            consents: consents.count(conn).await.unwrap(),
            queued_mails: mails.count(conn).await.unwrap(),
            events: events.all(conn).await.unwrap(),
        }
    }

    fn run(&self, id: Option<Uuid>) -> &run::Model {
        self.runs.iter().find(|run| Some(run.id) == id).expect("the run")
    }

    fn agrees_with(&self, before: &Register, steps: &[Step], now: i64) {
        let Some(last) = steps.last() else {
            assert_eq!(self, before, "without steps nothing changes");
            return;
        };
        assert_eq!(State::of(&self.instance), last.state);
        self.tells(before, steps);
        for effect in steps.iter().flat_map(|step| &step.effects) {
            self.shows(*effect, before, now);
        }
        let revised = steps.iter().any(|step| step.effects.contains(&Effect::Revise));
        assert_eq!(self.instance.revision, before.instance.revision + i32::from(revised));
        self.is_consistent();
    }

    /// There is one event for each step, with the state after it. The last event agrees with the row.
    fn tells(&self, before: &Register, steps: &[Step]) {
        let events = self.events.iter().skip(before.events.len()).map(|row| Event::try_from(row.clone()).unwrap());
        let events: Vec<_> = events.collect();
        let causes = |events: &[Event]| events.iter().map(|event| event.cause).collect::<Vec<_>>();
        assert_eq!(causes(&events), steps.iter().map(|step| step.cause).collect::<Vec<_>>());
        let mut previous = Previous::of(&before.instance);
        for (event, step) in events.iter().zip(steps) {
            assert_eq!(State::of(&event.snapshot.instance), step.state);
            assert_eq!(event.snapshot.before.as_ref(), Some(&previous));
            assert_eq!(event.actor.as_deref(), Some(ACTOR));
            previous = Previous::of(&event.snapshot.instance);
        }
        let newest = &events.last().expect("an event").snapshot;
        assert_eq!(newest.instance, Model { secrets: None, ..self.instance.clone() });
        let shown = |run: &Option<run::Model>| run.as_ref().map(|run| run.id);
        assert_eq!(shown(&newest.last_run), self.instance.last_run_id);
        assert_eq!(shown(&newest.current_run), self.instance.current_run_id);
    }

    fn shows(&self, effect: Effect, before: &Register, now: i64) {
        let (instance, was) = (&self.instance, &before.instance);
        match effect {
            Effect::QueueRun(request) => self.has_queued(request),
            Effect::StartRun => {
                let run = self.run(instance.current_run_id);
                assert_eq!((run.number, run.started_at), (was.run_number + 1, Some(now)));
                assert_eq!((instance.run_number, run.users_before), (run.number, was.user_count));
            }
            Effect::CompleteRun => {
                let run = self.run(was.current_run_id);
                assert_eq!((instance.last_run_id, run.outcome), (Some(run.id), Some(Outcome::Succeeded)));
                assert_eq!(instance.user_count, was.user_count + ADDED);
                assert!(self.jobs.contains(&(Kind::Tally, instance.id)));
            }
            Effect::CancelRun => {
                let run = self.run(was.current_run_id);
                assert_eq!((instance.last_run_id, run.outcome), (Some(run.id), Some(Outcome::Cancelled)));
                assert_eq!(run.finished_at, Some(now));
                assert!(self.jobs.contains(&(Kind::Tally, instance.id)));
            }
            // A later effect of the same change may clear it again.
            Effect::ScheduleRun { not_before, soon } => {
                if let Some(next) = instance.next_sync_at {
                    let part =
                        if soon && instance.consecutive_failures < 3 { 4 / instance.consecutive_failures } else { 1 };
                    let interval = INTERVAL_MS / i64::from(part);
                    let due = (next - now - interval).abs() <= interval / 10;
                    assert!(not_before == Some(next) || due, "{next}");
                }
            }
            // A later effect of the same change may end the tries again.
            Effect::TryCredential { at } => assert_eq!(instance.next_try_at, Some(at)),
            Effect::EndTries => assert_eq!(instance.next_try_at, None),
            Effect::ClearSchedule => assert_eq!(instance.next_sync_at, None),
            Effect::DestroyCredential => {
                assert_eq!((&instance.secrets, instance.credential_expires_at), (&None, None));
                assert_eq!((self.grants, self.consents), (0, 0));
            }
            Effect::HideUsers(users) => {
                assert!(instance.purging);
                assert_eq!(instance.user_count, 0);
                assert!([Kind::Purge, Kind::Tally].into_iter().all(|kind| self.jobs.contains(&(kind, instance.id))));
                let through = if users == HiddenUsers::All { i64::MAX } else { was.run_number };
                assert_eq!(instance.purge_through, through);
            }
            Effect::EndRemoval => assert!(!instance.purging),
            Effect::DropMails => assert_eq!(self.queued_mails, 0),
            Effect::Revise => assert_eq!(instance.revision, was.revision + 1),
        }
    }

    fn has_queued(&self, request: RunRequest) {
        let run = self.run(self.instance.current_run_id);
        let accepted = Accepted { removals: run.accept_removals, growth: run.accept_growth };
        assert_eq!((run.trigger, accepted), (request.trigger, request.accepted));
        assert_eq!((run.outcome, run.started_at), (None, None));
    }

    /// The rules that hold after every change.
    fn is_consistent(&self) {
        let instance = &self.instance;
        let open: Vec<_> = self.runs.iter().filter(|run| run.outcome.is_none()).map(|run| run.id).collect();
        let waits: Vec<_> = self.jobs.iter().filter(|(kind, _)| *kind == Kind::Sync).map(|(_, run)| *run).collect();
        assert_eq!(open, instance.current_run_id.into_iter().collect::<Vec<_>>(), "{instance:?}");
        assert_eq!(waits, open, "{instance:?}");
        assert_eq!(instance.current_run_id.is_some(), instance.sync_state != SyncState::Idle, "{instance:?}");
        let due = instance.status == Status::Live && instance.sync_state == SyncState::Idle;
        assert_eq!(instance.next_sync_at.is_some(), due, "{instance:?}");
        let usable = matches!(instance.status, Status::Live | Status::Inactive);
        assert_eq!((instance.secrets.is_some(), self.grants == 1), (usable, usable), "{instance:?}");
        assert_eq!(self.jobs.contains(&(Kind::Purge, instance.id)), instance.purging, "{instance:?}");
        let tried = self.jobs.contains(&(Kind::Recovery, instance.id));
        assert_eq!(tried, instance.next_try_at.is_some(), "{instance:?}");
    }
}
