//! What a run changed about users.

use std::borrow::Cow;
use std::collections::HashMap;

use async_graphql::Object;
use entity::user_change::{Kind, Model};
use uuid::Uuid;

use super::User;
use crate::db::Total;
use crate::directory::{changes, users};
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
    fn list(changes: Vec<(Model, users::Reported)>) -> Vec<UserChange> {
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
