//! Fills the tables so that plans matter: copies of the rows of one instance, with new ids and keys.

use std::iter;

use entity::audit_entry::{Action, Outcome as AuditOutcome};
use entity::instance::{Health, Status};
use entity::job::Kind;
use entity::run::Outcome;
use entity::user::UserStatus;
use entity::{
    api_token, audit_entry, audit_person, event, finding, instance, job, notification, oauth_authorization, run,
    session, sign_in_attempt, user, user_change, user_word,
};
use muster::directory::words::Words;
use sea_orm::{
    ActiveEnum, ActiveModelTrait, DatabaseConnection, EntityTrait, IntoActiveModel, Iterable, PrimaryKeyToColumn,
    PrimaryKeyTrait, QueryOrder,
};
use uuid::Uuid;

const INSTANCES: usize = 1_000;
const RUNS_EACH: usize = 5;
const USERS_EACH: usize = 10;
/// How many more users the first instance has.
const USERS_OF_LARGE: usize = 5_000;
const CHANGES_EACH: usize = 4;
const EVENTS_EACH: usize = 10;
const OTHERS: usize = 1_000;
/// So far in the future that nothing becomes due.
const NEVER: i64 = 9_000_000_000_000;

/// Inserts rows, without the columns that the database numbers itself.
async fn insert<E>(db: &DatabaseConnection, rows: impl Iterator<Item = E::Model>)
where
    E: EntityTrait,
    E::Model: IntoActiveModel<E::ActiveModel>,
    E::ActiveModel: ActiveModelTrait<Entity = E> + Send,
{
    let mut rows = rows.peekable();
    while rows.peek().is_some() {
        let chunk = rows.by_ref().take(500).map(|row| {
            let mut row = row.into_active_model().reset_all();
            if E::PrimaryKey::auto_increment() {
                E::PrimaryKey::iter().for_each(|key| row.not_set(key.into_column()));
            }
            row
        });
        E::insert_many(chunk).exec_without_returning(db).await.unwrap();
    }
}

async fn any<E: EntityTrait>(db: &DatabaseConnection) -> E::Model {
    E::find().one(db).await.unwrap().unwrap_or_else(|| panic!("a row of {:?}", E::default()))
}

fn id() -> Uuid {
    Uuid::now_v7()
}

fn hash() -> Vec<u8> {
    [id().into_bytes(), id().into_bytes()].concat()
}

/// Fills a database in which one instance has synced.
#[expect(clippy::too_many_lines, reason = "one row of each table")]
pub async fn fill(db: &DatabaseConnection) {
    let of = any::<instance::Entity>(db).await;
    let instances: Vec<_> = (0..INSTANCES)
        .map(|number| instance::Model {
            id: id(),
            integration_key: ["rehearsal", "scim", "okta", "github", "slack"][number % 5].into(),
            name: format!("Copy {number}"),
            name_key: format!("copy {number}"),
            status: if number % 10 == 9 { Status::Deleted } else { Status::Live },
            created_at: of.created_at + i64::try_from(number).unwrap(),
            last_success_at: of.created_at + i64::try_from(number).unwrap(),
            health: if number % 20 == 3 { Health::Failing } else { Health::Ok },
            next_sync_at: Some(NEVER),
            last_run_id: None,
            ..of.clone()
        })
        .collect();
    insert::<instance::Entity>(db, instances.iter().cloned()).await;

    let of = any::<run::Entity>(db).await;
    let runs: Vec<_> = instances
        .iter()
        .flat_map(|instance| iter::repeat_n(instance, RUNS_EACH))
        .enumerate()
        .map(|(number, instance)| run::Model {
            id: id(),
            instance_id: instance.id,
            integration_key: instance.integration_key.clone(),
            outcome: Some(if number % 10 == 0 { Outcome::Failed } else { Outcome::Succeeded }),
            ..of.clone()
        })
        .collect();
    insert::<run::Entity>(db, runs.iter().cloned()).await;

    let of = any::<user::Entity>(db).await;
    let users: Vec<_> = instances
        .iter()
        .flat_map(|instance| iter::repeat_n(instance, USERS_EACH))
        .chain(iter::repeat_n(&instances[0], USERS_OF_LARGE))
        .enumerate()
        .map(|(number, instance)| user::Model {
            id: id(),
            instance_id: instance.id,
            email: Some(format!("person.{number}@example.com")),
            display_name: Some(format!("number {number}")),
            external_id: format!("copy-{number}"),
            status: if number % 10 == 0 { UserStatus::Suspended } else { UserStatus::Active },
            removed_at: (number % 20 == 0).then_some(NEVER),
            ..of.clone()
        })
        .collect();
    insert::<user::Entity>(db, users.iter().cloned()).await;
    let words = users.iter().flat_map(|user| {
        let words = Words::of(user.email.as_deref(), user.display_name.as_deref());
        let row = |(word, shared): (&str, usize)| user_word::Model {
            word: word.into(),
            user_id: user.id,
            instance_id: user.instance_id,
            words: words.joined(),
            shared: shared.try_into().unwrap(),
            removed: user.removed_at.is_some(),
        };
        words.shared().map(row).collect::<Vec<_>>()
    });
    insert::<user_word::Entity>(db, words).await;

    let of = any::<user_change::Entity>(db).await;
    let pairs = runs.iter().flat_map(|run| iter::repeat_n(run, CHANGES_EACH)).zip(users.iter().cycle());
    let changes = pairs.map(|(run, user)| user_change::Model { run_id: run.id, user_id: user.id, ..of.clone() });
    insert::<user_change::Entity>(db, changes).await;

    let kinds: Vec<finding::Kind> = finding::Kind::iter().collect();
    let findings = users.iter().enumerate().map(|(number, user)| finding::Model {
        id: id(),
        kind: kinds[number % kinds.len()],
        instance_id: user.instance_id,
        user_id: user.id,
        severity: finding::Severity::Medium,
        confirmed: true,
        excepted_until: (number % 100 == 0).then_some(NEVER),
        opened_at: 0,
        closed_at: (number % 3 == 0).then_some(NEVER),
        close_reason: (number % 3 == 0).then_some(finding::CloseReason::Fixed),
        evidence: "[]".into(),
    });
    insert::<finding::Entity>(db, findings).await;

    let of = any::<event::Entity>(db).await;
    let told = instances.iter().flat_map(|instance| iter::repeat_n(instance, EVENTS_EACH));
    insert::<event::Entity>(db, told.map(|instance| event::Model { instance_id: instance.id, ..of.clone() })).await;

    let of = any::<notification::Entity>(db).await;
    let mails = runs.iter().step_by(2).map(|run| notification::Model {
        id: id(),
        instance_id: Some(run.instance_id),
        run_id: Some(run.id),
        ..of.clone()
    });
    insert::<notification::Entity>(db, mails).await;
    others(db).await;
    people(db).await;
}

/// What belongs to no instance here.
async fn others(db: &DatabaseConnection) {
    let jobs = (0..OTHERS).flat_map(|_| [Kind::Sync, Kind::Mail, Kind::Purge]).map(|kind| job::Model {
        id: 0,
        kind,
        subject: id(),
        run_at: NEVER,
        lease_until: 0,
        claims: 0,
        take_overs: 0,
        priority: 0,
    });
    insert::<job::Entity>(db, jobs).await;

    let of = any::<api_token::Entity>(db).await;
    let tokens = (0..OTHERS).map(|number| api_token::Model {
        id: id(),
        name: format!("copy {number}"),
        hash: hash(),
        ..of.clone()
    });
    insert::<api_token::Entity>(db, tokens).await;

    let consents = (0..OTHERS).map(|_| oauth_authorization::Model {
        state_hash: hash(),
        browser_hash: None,
        integration_key: "scim".into(),
        instance_id: None,
        name: None,
        sync_interval_minutes: None,
        sealed: Vec::new(),
        token_id: id(),
        actor: "ada".into(),
        created_at: 0,
        expires_at: NEVER,
        own_redirect: true,
    });
    insert::<oauth_authorization::Entity>(db, consents).await;
}

/// What is known of people who use the server.
async fn people(db: &DatabaseConnection) {
    let newest = audit_entry::Entity::find().order_by_desc(audit_entry::Column::Id);
    let of = newest.one(db).await.unwrap().expect("an entry of the audit log");
    let entries = (1..).take(OTHERS).map(|number| audit_entry::Model {
        id: of.id + number,
        at: of.at + number,
        actor_id: Some(id()),
        subject_id: Some(id()),
        action: if number % 100 == 0 { Action::TokenCreated.to_value() } else { of.action.clone() },
        outcome: if number % 100 == 1 { AuditOutcome::Failed.to_value() } else { of.outcome.clone() },
        ..of.clone()
    });
    insert::<audit_entry::Entity>(db, entries).await;
    let persons = (1..).take(OTHERS).map(|number| audit_person::Model {
        entry_id: of.id + number,
        key: hash(),
        actor_name: "ada".into(),
        address: Some(format!("2001:db8::{number:x}")),
        subject_name: None,
    });
    insert::<audit_person::Entity>(db, persons).await;

    let sessions = (0..OTHERS).map(|_| session::Model {
        id: id(),
        hash: hash(),
        member_id: id(),
        created_at: 0,
        last_used_at: NEVER,
        expires_at: NEVER,
        address: None,
        user_agent: String::new(),
        signature: None,
        from_provider: false,
    });
    insert::<session::Entity>(db, sessions).await;
    let attempts = (0..OTHERS).map(|_| sign_in_attempt::Model { account: hash(), count: 1, last_at: NEVER });
    insert::<sign_in_attempt::Entity>(db, attempts).await;
}
