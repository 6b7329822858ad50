//! What a run changed about users.

use std::borrow::Cow;
use std::collections::HashMap;

use async_graphql::Object;
use chrono::{DateTime, Utc};
use entity::instance;
use entity::run::FailureClass;
use entity::user_change::{Kind, Model};
use uuid::Uuid;

use super::User;
use crate::clock::date_time;
use crate::db::{Columns, Total};
use crate::directory::reported::Reported;
use crate::directory::{changes, leavers};
use crate::graphql::api::Api;
use crate::graphql::batch::regroup;
use crate::graphql::connection::connection;
use crate::graphql::error::ApiError;
use crate::graphql::list::{List, NestedList, PageRows};
use crate::graphql::sync_run::SyncRun;
use crate::graphql::written::{Written, fields};

#[derive(Clone)]
pub struct UserChange {
    change: Model,
    user: User,
}

impl UserChange {
    /// Rows of one list.
    pub(super) fn list(changes: Vec<(Model, Reported)>) -> Vec<UserChange> {
        let (changes, models): (Vec<_>, Vec<_>) = changes.into_iter().unzip();
        changes.into_iter().zip(User::list(models)).map(|(change, user)| UserChange { change, user }).collect()
    }
}

/// What one run changed about one user.
#[fields]
#[Object]
impl UserChange {
    /// Whether the user was added, changed or removed.
    fn kind(&self) -> Kind {
        self.change.kind
    }

    /// The user as it is now.
    async fn user(&self) -> Written<&User> {
        Written(&self.user)
    }

    /// When it was stored. Null if a release stored it that kept no times.
    fn at(&self) -> Option<DateTime<Utc>> {
        (self.change.at > 0).then(|| date_time(self.change.at))
    }

    /// The names of the fields of `User` that changed; empty if the user was added or removed.
    fn fields(&self) -> Vec<&str> {
        self.change.fields.split(',').filter(|name| !name.is_empty()).collect()
    }
}

#[derive(Clone, PartialEq)]
pub struct ChangeList {
    pub kind: Option<Kind>,
}

impl List for ChangeList {
    type Row = UserChange;
    type Position = i64;

    fn name(&self) -> Cow<'static, str> {
        "changes".into()
    }

    fn position(&self, change: &UserChange) -> i64 {
        change.change.id
    }
}

impl NestedList for ChangeList {
    type Parent = SyncRun;

    async fn pages(
        &self,
        api: &Api,
        runs: &[Uuid],
        after: Option<i64>,
        limit: u64,
    ) -> Result<HashMap<Uuid, PageRows<Self>>, ApiError> {
        let pages = changes::pages_by_run(api.instances.db.read(), runs, self.kind, after, limit).await?;
        Ok(regroup(pages, UserChange::list))
    }

    async fn totals(&self, api: &Api, runs: &[Uuid]) -> Result<HashMap<Uuid, Total>, ApiError> {
        Ok(changes::totals_by_run(api.instances.db.read(), runs, self.kind).await?)
    }
}

connection!(UserChangeConnection, UserChangeEdge, ChangeList, "changes of users");

/// The users whom a run would have removed if the removal guard had let it.
#[derive(Clone, PartialEq)]
pub struct LeaverList;

impl LeaverList {
    /// The instances whose last run is one of these and was refused by the guard, each with that run.
    async fn instances(api: &Api, runs: &[Uuid]) -> Result<HashMap<Uuid, Uuid>, ApiError> {
        let runs = api.instances.runs_by_ids(runs, Columns::ALL).await?;
        let held = runs.into_values().filter(|run| run.failure_class == Some(FailureClass::RemovalGuard));
        let held: HashMap<Uuid, Uuid> = held.map(|run| (run.id, run.instance_id)).collect();
        let ids: Vec<Uuid> = held.values().copied().collect();
        let instances = api.instances.by_ids(&ids, api.wanted.instances).await?;
        let last = |instance: &instance::Model| instance.last_run_id.filter(|run| held.contains_key(run));
        Ok(instances.into_values().filter_map(|instance| Some((instance.id, last(&instance)?))).collect())
    }
}

impl List for LeaverList {
    type Row = User;
    type Position = Uuid;

    fn name(&self) -> Cow<'static, str> {
        "leavers".into()
    }

    fn position(&self, user: &User) -> Uuid {
        user.model.id
    }
}

impl NestedList for LeaverList {
    type Parent = SyncRun;

    async fn pages(
        &self,
        api: &Api,
        runs: &[Uuid],
        after: Option<Uuid>,
        limit: u64,
    ) -> Result<HashMap<Uuid, PageRows<Self>>, ApiError> {
        let of = Self::instances(api, runs).await?;
        let ids: Vec<Uuid> = of.keys().copied().collect();
        let pages = leavers::pages(api.instances.db.read(), &ids, api.wanted.users, after, limit).await?;
        let of_run = |(instance, users)| Some((*of.get(&instance)?, users));
        Ok(regroup(pages.into_iter().filter_map(of_run).collect(), User::list))
    }

    async fn totals(&self, api: &Api, runs: &[Uuid]) -> Result<HashMap<Uuid, Total>, ApiError> {
        let of = Self::instances(api, runs).await?;
        let ids: Vec<Uuid> = of.keys().copied().collect();
        let totals = leavers::totals(api.instances.db.read(), &ids).await?;
        Ok(totals.into_iter().filter_map(|(instance, total)| Some((*of.get(&instance)?, total))).collect())
    }
}
