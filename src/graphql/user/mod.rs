//! Users, and what runs changed about them.

use std::collections::HashMap;
use std::sync::Arc;

use async_graphql::{Context, ID, InputObject, Object};
use chrono::{DateTime, Utc};
use entity::user::{Model, UserStatus};
use entity::user_change::{self, Kind as ChangeKind};
use uuid::Uuid;

use crate::clock::date_time;
use crate::directory::users::{self, Filter};
use crate::graphql::api::Api;
use crate::graphql::batch::{Siblings, regroup};
use crate::graphql::error::ApiError;
use crate::graphql::id::{self, Kind};
use crate::graphql::instance::Instance;
use crate::graphql::page::{self, Page, Total, connection};
use crate::graphql::sync_run::{self, SyncRun};

/// A person's account in an integrated application.
#[derive(Clone)]
pub struct User {
    pub model: Arc<Model>,
    instances: Arc<Siblings<Uuid>>,
}

impl User {
    /// Rows of one list.
    pub fn list(models: Vec<Model>) -> Vec<User> {
        let instances = Arc::new(Siblings::new(models.iter().map(|model| model.instance_id)));
        models.into_iter().map(|model| User { model: Arc::new(model), instances: instances.clone() }).collect()
    }
}

/// A person's account in an integrated application, as the last sync saw it. What the
/// application does not provide is null, which is not the same as "no".
#[Object]
impl User {
    /// The opaque, permanent id.
    pub async fn id(&self) -> ID {
        id::encode(Kind::User, self.model.id)
    }

    /// The instance that reports the account.
    async fn instance(&self, ctx: &Context<'_>) -> Result<Instance, ApiError> {
        let found = sync_run::instances(ctx, &self.instances, &self.model.instance_id).await?;
        found.ok_or_else(|| ApiError::hide(crate::error::Error::Internal("a user without an instance".into())))
    }

    /// The application's own id of the account; unique in its instance.
    async fn external_id(&self) -> &str {
        &self.model.external_id
    }

    /// The account's e-mail address.
    async fn email(&self) -> Option<&str> {
        self.model.email.as_deref()
    }

    /// The name that the application shows.
    async fn display_name(&self) -> Option<&str> {
        self.model.display_name.as_deref()
    }

    /// What the application says of the account.
    async fn status(&self) -> UserStatus {
        self.model.status
    }

    /// Whether the account administers the application.
    async fn is_admin(&self) -> Option<bool> {
        self.model.is_admin
    }

    /// Whether the account has a second factor.
    async fn mfa_enabled(&self) -> Option<bool> {
        self.model.mfa_enabled
    }

    /// The licences or seats that the account holds; empty also when the application does not say.
    async fn licenses(&self) -> Vec<String> {
        self.model.licenses.as_deref().and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default()
    }

    /// When the account was last active.
    async fn last_active_at(&self) -> Option<DateTime<Utc>> {
        self.model.last_active_at.map(date_time)
    }

    /// When a sync saw the account for the first time.
    async fn first_seen_at(&self) -> DateTime<Utc> {
        date_time(self.model.first_seen_at)
    }

    /// When a sync saw the account last.
    async fn last_seen_at(&self) -> DateTime<Utc> {
        date_time(self.model.last_seen_at)
    }

    /// When a complete sync no longer saw the account; null while it is there.
    async fn removed_at(&self) -> Option<DateTime<Utc>> {
        self.model.removed_at.map(date_time)
    }
}

connection!(UserConnection, UserEdge, User, "users");

/// Which users. All that is given must hold. Users that were removed are left out unless asked for.
#[derive(InputObject, Default)]
pub struct UserFilter {
    /// Of this instance.
    instance_id: Option<ID>,
    /// Of one of these integrations.
    integration_keys: Option<Vec<String>>,
    /// In one of these statuses.
    statuses: Option<Vec<UserStatus>>,
    /// The beginning of an e-mail address or a name, in any case.
    search: Option<String>,
    /// Also those that are no longer listed, as far back as the server keeps them.
    include_removed: Option<bool>,
}

impl UserFilter {
    fn decode(self) -> Result<Filter, ApiError> {
        let UserFilter { instance_id, integration_keys, statuses, search, include_removed } = self;
        let instance_id = instance_id.map(|id| id::argument(Kind::Instance, &id)).transpose()?;
        let integration_keys = page::bounded(integration_keys, "integrationKeys")?;
        Ok(Filter {
            instance_id,
            integration_keys,
            statuses,
            search,
            include_removed: include_removed.unwrap_or(false),
        })
    }
}

fn connect(users: Vec<User>, size: usize, after: Option<&str>, total: Total) -> UserConnection {
    let rows = users.into_iter().map(|user| (page::encode("users", &user.model.id), user)).collect();
    UserConnection(Page::new(rows, size, after, total))
}

pub(super) async fn of_instance(
    ctx: &Context<'_>,
    instance: &Instance,
    first: Option<i32>,
    after: Option<String>,
    filter: Option<UserFilter>,
) -> Result<UserConnection, ApiError> {
    let api = ctx.data_unchecked::<Api>().clone();
    let size = page::size(first)?;
    let start: Option<Uuid> = page::decode("users", after.as_deref())?;
    let filter = filter.unwrap_or_default().decode()?;
    let (list, id) = (instance.list.clone(), instance.model.id);
    // A filter for another instance admits nobody here.
    if filter.instance_id.is_some_and(|wanted| wanted != id) {
        return Ok(connect(Vec::new(), size, after.as_deref(), page::known_total(0)));
    }
    let name = format!("users {start:?} {size} {filter:?}");
    let found: Option<Vec<User>> = list
        .instances
        .load(name, &id, |ids| {
            let (api, filter) = (api.clone(), filter.clone());
            async move {
                let pages = users::pages_by_instance(api.instances.db.read(), &ids, &filter, start, size as u64 + 1);
                Ok(regroup(pages.await?, User::list))
            }
        })
        .await?;
    let total: Total = Arc::new(move || {
        let (api, list, filter) = (api.clone(), list.clone(), filter.clone());
        Box::pin(async move {
            let count = list.instances.load(format!("users total {filter:?}"), &id, |ids| async move {
                Ok(users::count_by_instance(api.instances.db.read(), &ids, &filter).await?)
            });
            Ok(count.await?.unwrap_or(0))
        })
    });
    Ok(connect(found.unwrap_or_default(), size, after.as_deref(), total))
}

/// What one run changed about one user.
#[derive(Clone)]
pub struct UserChange {
    change: user_change::Model,
    user: User,
}

impl UserChange {
    fn list(changes: Vec<(user_change::Model, Model)>) -> Vec<UserChange> {
        let (changes, models): (Vec<_>, Vec<_>) = changes.into_iter().unzip();
        changes.into_iter().zip(User::list(models)).map(|(change, user)| UserChange { change, user }).collect()
    }
}

/// What one run changed about one user.
#[Object]
impl UserChange {
    /// Whether the user joined, changed or left.
    async fn kind(&self) -> ChangeKind {
        self.change.kind
    }

    /// The user as it is now.
    async fn user(&self) -> &User {
        &self.user
    }

    /// The names of the fields of `User` that changed; empty for those who joined or left.
    async fn fields(&self) -> Vec<&str> {
        self.change.fields.split(',').filter(|name| !name.is_empty()).collect()
    }
}

connection!(UserChangeConnection, UserChangeEdge, UserChange, "changes of users");

pub(super) async fn changes_of_run(
    ctx: &Context<'_>,
    run: &SyncRun,
    first: Option<i32>,
    after: Option<String>,
    kind: Option<ChangeKind>,
) -> Result<UserChangeConnection, ApiError> {
    let api = ctx.data_unchecked::<Api>().clone();
    let size = page::size(first)?;
    let start: Option<i64> = page::decode("changes", after.as_deref())?;
    let (list, id) = (run.list.clone(), run.model.id);
    let changes: Option<Vec<UserChange>> = list
        .runs
        .load(format!("changes {start:?} {size} {kind:?}"), &id, |ids| {
            let api = api.clone();
            async move {
                let pages = users::changes_by_run(api.instances.db.read(), &ids, kind, start, size as u64 + 1);
                Ok(regroup(pages.await?, UserChange::list))
            }
        })
        .await?;
    let rows = changes
        .unwrap_or_default()
        .into_iter()
        .map(|change| (page::encode("changes", &change.change.id), change))
        .collect();
    let total: Total = Arc::new(move || {
        let (api, list) = (api.clone(), list.clone());
        Box::pin(async move {
            let count: Option<i64> = list
                .runs
                .load(format!("changes total {kind:?}"), &id, |ids: Vec<Uuid>| async move {
                    let counts: HashMap<Uuid, i64> =
                        users::count_changes_by_run(api.instances.db.read(), &ids, kind).await?;
                    Ok(counts)
                })
                .await?;
            Ok(count.unwrap_or(0))
        })
    });
    Ok(UserChangeConnection(Page::new(rows, size, after.as_deref(), total)))
}

#[derive(Default)]
pub struct UserQuery;

#[Object]
impl UserQuery {
    /// The users of all instances, in the order in which they were first seen.
    #[graphql(complexity = "page::cost(first, child_complexity)")]
    async fn users(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "How many, from 1 to 100; 20 when left out.")] first: Option<i32>,
        #[graphql(desc = "Begin after this cursor.")] after: Option<String>,
        #[graphql(desc = "Which of them.")] filter: Option<UserFilter>,
    ) -> Result<UserConnection, ApiError> {
        let api = ctx.data_unchecked::<Api>().clone();
        let size = page::size(first)?;
        let start: Option<Uuid> = page::decode("users", after.as_deref())?;
        let filter = filter.unwrap_or_default().decode()?;
        let models = users::page(api.instances.db.read(), &filter, start, size as u64 + 1).await?;
        let total: Total = Arc::new(move || {
            let (api, filter) = (api.clone(), filter.clone());
            Box::pin(async move { Ok(users::count(api.instances.db.read(), &filter).await?) })
        });
        Ok(connect(User::list(models), size, after.as_deref(), total))
    }
}
