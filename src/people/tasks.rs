//! Works on tasks: what runs, deletions and settings leave to be done.

use std::collections::BTreeSet;

use entity::people_task::{Column, Entity, Kind, Model};
use entity::run::FailureClass;
use entity::{account_owner, instance, person, person_pin, run, source_account, user, user_change};
use sea_orm::sea_query::{Expr, ExprTrait, Query};
use sea_orm::{
    ActiveModelTrait, ColumnTrait, ConnectionTrait, EntityTrait, IntoActiveModel, Order, PaginatorTrait, QueryFilter,
    QueryOrder, QuerySelect, Select,
};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::People;
use super::lane::Lane;
use super::sources::Heard;
use crate::db::keyset;
use crate::directory::evaluations::{self, Changed};
use crate::error::Result;
use crate::queue::{
    self, Claim,
    worker::{Handler, in_parts},
};

/// How many accounts one transaction looks at.
const ACCOUNTS: u64 = 1_000;
/// The same for accounts of sources, because those of their people are looked at as well.
const OF_SOURCE: u64 = 100;
/// How many people one transaction looks at.
const PEOPLE: u64 = 400;
/// How many people one transaction searches for those whose account is gone.
const SEARCHED: u64 = 10_000;
/// How many tasks are worked on at once in a process.
pub const CONCURRENCY: usize = 1;

/// The names of the fields of users that decide whose an account is, or that are shown of a person.
const FIELDS: &[&str] =
    &["email", "displayName", "status", "kind", "guest", "aliases", "sourceId", "employeeId", "department", "manager"];

/// The phases of a run after its accounts: the states of the people of a source, and whom a guard has thrown out.
const STATES: i32 = 1_000_000;
const LOST: i32 = 1_000_002;
/// The phases of [`Kind::Everything`] after those of its sources, which begin with 1.
const OTHERS: i32 = 1_000_000;
const WHOEVER: i32 = 1_000_001;

/// How many tasks wait, or are worked on.
pub async fn backlog(conn: &impl ConnectionTrait) -> Result<u64> {
    Ok(Entity::find().count(conn).await?)
}

impl Handler for People {
    async fn handle(&self, claim: Claim, stop: CancellationToken) -> Result<()> {
        in_parts((&self.db, &self.clock), &claim, &stop, || self.work(&claim)).await
    }
}

impl People {
    /// Does a part of a task. Returns true if nothing is left of it.
    async fn work(&self, claim: &Claim) -> Result<bool> {
        let now = self.clock.now();
        self.db
            .write(|tx| async move {
                if !queue::renew(tx.conn(), claim, self.clock.now()).await? {
                    return Ok(true);
                }
                let mut lane = Lane::enter(&tx, now).await?;
                let Some(mut task) = Entity::find_by_id(claim.subject).one(tx.conn()).await? else {
                    let _gone_either_way = queue::finish(&tx, claim).await?;
                    return Ok(true);
                };
                let is_done = lane.step(&mut task).await?;
                lane.request_after(&task, is_done).await?;
                if !is_done {
                    // A later task may stand for it by now.
                    let (own, task) = (Column::Id.eq(task.id), task.into_active_model().reset_all());
                    Entity::update_many().set(task).filter(own).exec(tx.conn()).await?;
                    return Ok(false);
                }
                Entity::delete_by_id(task.id).exec(tx.conn()).await?;
                queue::finish(&tx, claim).await
            })
            .await
    }
}

/// Whether a guard may have thrown out accounts that the run had added.
fn has_thrown_out(run: &run::Model) -> bool {
    matches!(run.failure_class, Some(FailureClass::GrowthGuard | FailureClass::Config))
}

impl Lane<'_> {
    /// Requests the evaluations that a part of a task calls for. That of the task's own instance waits for its end.
    async fn request_after(&mut self, task: &Model, is_done: bool) -> Result<()> {
        if task.kind == Kind::Everything {
            return if is_done {
                evaluations::request_all(self.tx, None, Changed::Everything, self.now).await
            } else {
                Ok(())
            };
        }
        if let Some(own) = task.instance_id {
            self.relinked.remove(&own);
            if is_done && self.shows_only_activity(task).await? {
                evaluations::request(self.tx, &[own].into(), Changed::Activity, self.now).await?;
            } else if is_done {
                self.relinked.insert(own);
            }
        }
        let wait = if is_done { 0 } else { evaluations::SOON_MS };
        self.request_evaluations(self.now + wait).await
    }

    /// Whether the run of a task may have changed when accounts were active, and nothing else.
    async fn shows_only_activity(&self, task: &Model) -> Result<bool> {
        let conn = self.tx.conn();
        let Some(run) = run::Entity::find_by_id(task.run_id.unwrap_or_default()).one(conn).await? else {
            return Ok(false);
        };
        if run.new_baseline || self.place(run.instance_id).is_some() || has_thrown_out(&run) {
            return Ok(false);
        }
        let changes = user_change::Entity::find().filter(user_change::Column::RunId.eq(run.id));
        Ok(changes.limit(1).one(conn).await?.is_none())
    }

    /// Does the next part of a task. Returns whether the task is done.
    pub async fn step(&mut self, task: &mut Model) -> Result<bool> {
        let next = match task.kind {
            Kind::Run => self.after_run(task).await?,
            Kind::Deleted => self.after_deletion(task).await?,
            Kind::Forgotten => Next::done(self.sweep(task, None).await?),
            Kind::Everything => self.everything(task).await?,
        };
        match next {
            Next::More => Ok(false),
            Next::Phase(phase) => {
                (task.phase, task.position) = (phase, None);
                Ok(false)
            }
            Next::Done => Ok(true),
        }
    }

    async fn after_run(&mut self, task: &mut Model) -> Result<Next> {
        let Some(run) = run::Entity::find_by_id(task.run_id.unwrap_or_default()).one(self.tx.conn()).await? else {
            return Ok(Next::Done);
        };
        let source = self.place(run.instance_id);
        let limit = if source.is_some() { OF_SOURCE } else { ACCOUNTS };
        match task.phase {
            0 if run.new_baseline => Ok(Next::Phase(1)),
            0 => {
                if self.changed(task, &run, limit).await? {
                    return Ok(Next::Phase(STATES));
                }
                Ok(Next::More)
            }
            1 => {
                if self.of_instance(task, run.instance_id, limit).await? {
                    return Ok(Next::Phase(STATES));
                }
                Ok(Next::More)
            }
            STATES => match source.map(|place| self.sources[place]) {
                Some(source) if source.is_believed && !source.settled => {
                    self.all_states(task, source.instance_id).await
                }
                Some(source) => {
                    self.settle(source.instance_id, source.is_believed).await?;
                    Ok(Next::Phase(LOST))
                }
                None => Ok(Next::Phase(LOST)),
            },
            _ if has_thrown_out(&run) => Ok(Next::done(self.sweep(task, Some(run.instance_id)).await?)),
            _ => Ok(Next::Done),
        }
    }

    /// Looks at some of the accounts that a run has changed. Returns whether none is left.
    async fn changed(&mut self, task: &mut Model, run: &run::Model, limit: u64) -> Result<bool> {
        use user_change::{Column, Entity};
        let after: i64 = task.position.as_deref().and_then(|text| text.parse().ok()).unwrap_or(0);
        let changes = Entity::find().filter(Column::Id.gt(after));
        let changes = keyset::of_parent(changes, (Column::RunId, run.id), Column::Id, Order::Asc, self.backend());
        let changes = changes.limit(limit).all(self.tx.conn()).await?;
        let Some(last) = changes.last().map(|change| change.id) else { return Ok(true) };
        task.position = Some(last.to_string());
        let is_relevant = |change: &user_change::Model| {
            change.kind != user_change::Kind::Changed || change.fields.split(',').any(|field| FIELDS.contains(&field))
        };
        let users = changes.iter().filter(|change| is_relevant(change)).map(|change| change.user_id).collect();
        self.look_at(&users, task.at).await?;
        Ok(false)
    }

    /// Looks at some of the accounts of an instance. Returns whether none is left.
    async fn of_instance(&mut self, task: &mut Model, instance: Uuid, limit: u64) -> Result<bool> {
        use user::Column;
        let rows = user::Entity::find().select_only().column(Column::Id).filter(Column::Id.gt(position(task)));
        let rows = keyset::of_parent(rows, (Column::InstanceId, instance), Column::Id, Order::Asc, self.backend());
        self.next_accounts(task, rows.limit(limit)).await
    }

    async fn next_accounts(&mut self, task: &mut Model, rows: Select<user::Entity>) -> Result<bool> {
        let ids: BTreeSet<Uuid> = rows.into_tuple::<Uuid>().all(self.tx.conn()).await?.into_iter().collect();
        let Some(last) = ids.last() else { return Ok(true) };
        task.position = Some(last.to_string());
        self.look_at(&ids, task.at).await?;
        Ok(false)
    }

    /// Looks at accounts: first at those of sources, in the order of the sources, and then at all that follow from them.
    pub async fn look_at(&mut self, users: &BTreeSet<Uuid>, at: i64) -> Result<()> {
        let ids: Vec<Uuid> = users.iter().copied().collect();
        let mut heard = Heard { users: users.clone(), people: BTreeSet::new() };
        if !self.sources.is_empty() {
            let rows = self.accounts(&ids).await?;
            for source in self.sources.clone() {
                let own = rows.iter().filter(|row| row.instance_id == source.instance_id).cloned();
                let own: Vec<user::Model> = own.collect();
                if !own.is_empty() {
                    heard.add(self.hear(source.instance_id, &own, at).await?);
                }
            }
        }
        self.relink(&heard.users, heard.people).await
    }

    /// Finds the states of some people of a source that is believed again.
    async fn all_states(&mut self, task: &mut Model, source: Uuid) -> Result<Next> {
        let Some(people) = self.people_of(task, source).await? else {
            self.settle(source, true).await?;
            return Ok(Next::Phase(LOST));
        };
        self.assess(&people, task.at).await?;
        Ok(Next::More)
    }

    /// The people of some of the accounts of which a source has said something. `None` if none is left.
    async fn people_of(&self, task: &mut Model, source: Uuid) -> Result<Option<BTreeSet<Uuid>>> {
        use source_account::{Column, Entity};
        let mut next = Entity::find().filter(Column::InstanceId.eq(source));
        if let Some(after) = &task.position {
            next = next.filter(Column::ExternalId.gt(after.as_str()));
        }
        let next = next.order_by_asc(Column::ExternalId).limit(PEOPLE).all(self.tx.conn()).await?;
        let Some(last) = next.last() else { return Ok(None) };
        task.position = Some(last.external_id.clone());
        Ok(Some(next.iter().filter_map(|account| account.person_id).collect()))
    }

    async fn after_deletion(&mut self, task: &mut Model) -> Result<Next> {
        let instance = task.instance_id.unwrap_or_default();
        if task.phase == 0 {
            let row = instance::Entity::find_by_id(instance).one(self.tx.conn()).await?;
            let is_deleted =
                row.is_none_or(|row| matches!(row.status, instance::Status::Deleting | instance::Status::Deleted));
            if is_deleted {
                self.drop_decisions(instance).await?;
            }
            return Ok(Next::Phase(1));
        }
        if task.phase == 1 {
            return Ok(if self.sweep(task, Some(instance)).await? { Next::Phase(2) } else { Next::More });
        }
        let Some(people) = self.people_of(task, instance).await? else { return Ok(Next::Done) };
        self.describe(people).await?;
        Ok(Next::More)
    }

    /// What members have decided about the accounts of an instance goes with it.
    async fn drop_decisions(&self, instance: Uuid) -> Result<()> {
        let conn = self.tx.conn();
        person_pin::Entity::delete_many().filter(person_pin::Column::InstanceId.eq(instance)).exec(conn).await?;
        account_owner::Entity::delete_many().filter(account_owner::Column::InstanceId.eq(instance)).exec(conn).await?;
        Ok(())
    }

    /// Describes some of the people whose name was copied from an account that is gone, and forgets those without any.
    /// Returns whether nobody is left.
    async fn sweep(&mut self, task: &mut Model, instance: Option<Uuid>) -> Result<bool> {
        use person::{Column, Entity};
        let account = Expr::col((user::Entity, user::Column::Id)).equals((Entity, Column::SourceUserId));
        let mut accounts = Query::select();
        accounts.expr(Expr::value(1)).from(user::Entity).and_where(account);
        let mut people = Entity::find().select_only().column(Column::Id).filter(Column::Id.gt(position(task)));
        if let Some(instance) = instance {
            people = people.filter(Column::SourceInstanceId.eq(instance));
        }
        let last = people.clone().order_by_asc(Column::Id).offset(SEARCHED).limit(1);
        let last: Option<Uuid> = last.into_tuple().one(self.tx.conn()).await?;
        people = people.filter(Expr::exists(accounts).not());
        let Some(last) = last else { return self.next_people(task, people).await };
        if self.next_people(task, people.filter(Column::Id.lte(last))).await? {
            task.position = Some(last.to_string());
        }
        Ok(false)
    }

    async fn next_people(&mut self, task: &mut Model, people: Select<person::Entity>) -> Result<bool> {
        let people = people.order_by_asc(person::Column::Id).limit(PEOPLE);
        let ids: BTreeSet<Uuid> = people.into_tuple::<Uuid>().all(self.tx.conn()).await?.into_iter().collect();
        let Some(last) = ids.last() else { return Ok(true) };
        task.position = Some(last.to_string());
        self.assess(&ids, task.at).await?;
        self.describe(ids).await?;
        Ok(false)
    }

    async fn everything(&mut self, task: &mut Model) -> Result<Next> {
        let place = usize::try_from(task.phase - 1).ok();
        let source = place.and_then(|place| self.sources.get(place)).copied();
        match (task.phase, source) {
            (0, _) => self.unmark().await,
            (OTHERS, _) => {
                let rows = user::Entity::find().select_only().column(user::Column::Id);
                let rows = rows.filter(user::Column::Id.gt(position(task))).order_by_asc(user::Column::Id);
                let sources = self.sources.iter().map(|source| source.instance_id);
                let rows = rows.filter(user::Column::InstanceId.is_not_in(sources)).limit(ACCOUNTS);
                Ok(if self.next_accounts(task, rows).await? { Next::Phase(WHOEVER) } else { Next::More })
            }
            (WHOEVER, _) => {
                let people = person::Entity::find().select_only().column(person::Column::Id);
                let people = people.filter(person::Column::Id.gt(position(task)));
                Ok(Next::done(self.next_people(task, people).await?))
            }
            (phase, Some(source)) => {
                if !self.of_instance(task, source.instance_id, OF_SOURCE).await? {
                    return Ok(Next::More);
                }
                self.settle(source.instance_id, source.is_believed).await?;
                Ok(Next::Phase(phase + 1))
            }
            (_, None) => Ok(Next::Phase(OTHERS)),
        }
    }

    /// Forgets some of what instances said that are no people sources any more.
    async fn unmark(&mut self) -> Result<Next> {
        let former = self.accounts_of_former_sources().await?;
        let Some(source) = former.first().map(|account| account.instance_id) else { return Ok(Next::Phase(1)) };
        let external: Vec<String> = former
            .into_iter()
            .filter(|account| account.instance_id == source)
            .map(|account| account.external_id)
            .collect();
        let Heard { users, people } = self.forget(source, &external).await?;
        self.assess(&people, self.now).await?;
        self.keep_known_by_address(&people).await?;
        self.relink(&users, people).await?;
        Ok(Next::More)
    }

    /// Some of what is kept of instances that are no people sources. The sources part the rows, which the primary key has
    /// in the order of instances: nothing is read but what lies between them.
    async fn accounts_of_former_sources(&self) -> Result<Vec<source_account::Model>> {
        use source_account::{Column, Entity};
        let mut bounds: Vec<Uuid> = self.sources.iter().map(|source| source.instance_id).collect();
        bounds.extend([Uuid::nil(), Uuid::max()]);
        bounds.sort_unstable();
        for between in bounds.windows(2) {
            let former = Entity::find()
                .filter(Column::InstanceId.gt(between[0]))
                .filter(Column::InstanceId.lt(between[1]))
                .order_by_asc(Column::InstanceId)
                .order_by_asc(Column::ExternalId)
                .limit(OF_SOURCE);
            let former = former.all(self.tx.conn()).await?;
            if !former.is_empty() {
                return Ok(former);
            }
        }
        Ok(Vec::new())
    }
}

/// How a task goes on.
enum Next {
    More,
    Phase(i32),
    Done,
}

impl Next {
    fn done(done: bool) -> Self {
        if done { Next::Done } else { Next::More }
    }
}

/// The id up to which the task is done.
fn position(task: &Model) -> Uuid {
    task.position.as_deref().and_then(|text| Uuid::try_parse(text).ok()).unwrap_or_default()
}
