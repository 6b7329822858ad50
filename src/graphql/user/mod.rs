//! Users: the type, its lists, and what runs changed about them.

use std::sync::Arc;

use async_graphql::{Context, ID, Object};
use chrono::{DateTime, Utc};
use entity::user::{AccountKind, UserStatus};
use integration::user::Timestamp;
use uuid::Uuid;

use super::api::Api;
use super::batch::Batch;
use super::connection;
use super::error::ApiError;
use super::finding::list::{Among, FindingConnection, FindingFilter, FindingList};
use super::id::{self, Kind};
use super::instance::{Instance, InstanceById};
use super::list::Parent;
use super::page;
use super::person::Person;
use super::person::link::{LinkOf, OwnerOf, PersonLink, PersonOf};
use super::written::{Written, fields};
use crate::clock::date_time;
use crate::directory::reported::Reported;
use crate::directory::users::{Found, Position};

pub mod change;
pub mod feed;
pub mod list;

/// The last activity of an account that was never active.
const NEVER: i64 = Timestamp::NEVER.0;

#[derive(Clone)]
pub struct User {
    model: Arc<Reported>,
    instances: Arc<Batch<Uuid>>,
    /// The users of the list.
    users: Arc<Batch<Uuid>>,
    /// The position in the list that the user was found in.
    position: Position,
}

impl User {
    /// Rows of one list.
    pub fn list(models: Vec<Reported>) -> Vec<User> {
        let found = |user: Reported| Found { position: Position::Id(user.id), user: Arc::new(user) };
        Self::found(models.into_iter().map(found).collect())
    }

    /// Rows of a page of users.
    pub fn found(found: Vec<Found>) -> Vec<User> {
        let instances = Arc::new(Batch::new(found.iter().map(|found| found.user.instance_id)));
        let users = Arc::new(Batch::new(found.iter().map(|found| found.user.id)));
        let user = |Found { user, position }| User {
            model: user,
            instances: instances.clone(),
            users: users.clone(),
            position,
        };
        found.into_iter().map(user).collect()
    }

    pub fn key(&self) -> Uuid {
        self.model.id
    }

    /// A single row, which is not part of a list.
    pub fn one(model: Reported) -> User {
        let (instances, users) = (Arc::new(Batch::new([model.instance_id])), Arc::new(Batch::new([model.id])));
        User { position: Position::Id(model.id), model: Arc::new(model), instances, users }
    }
}

impl Parent for User {
    type Key = Uuid;

    fn key(&self) -> &Uuid {
        &self.model.id
    }

    fn batch(&self) -> &Batch<Uuid> {
        &self.users
    }
}

/// The account of a person in a connected application, as the last sync saw it. A field that the
/// application does not provide is null, which is not the same as "no".
#[fields(rows)]
#[Object]
impl User {
    /// The opaque, permanent id.
    pub fn id(&self) -> ID {
        id::encode(Kind::User, self.model.id)
    }

    /// The instance that reports the account.
    async fn instance(&self, ctx: &Context<'_>) -> Result<Written<Instance>, ApiError> {
        InstanceById::of_row(&self.instances, ctx, self.model.instance_id, "a user").await.map(Written)
    }

    /// Whose the account is. Null also for a token that is limited to some instances.
    async fn person(&self, ctx: &Context<'_>) -> Result<Option<Written<Person>>, ApiError> {
        let api = ctx.data_unchecked::<Api>();
        Ok(self.users.load(api, PersonOf, &self.model.id).await?.map(Written))
    }

    /// Why it is that person's, or nobody's. Null until the server has looked at the account, soon after a sync has stored
    /// it.
    async fn link(&self, ctx: &Context<'_>) -> Result<Option<Written<PersonLink>>, ApiError> {
        let api = ctx.data_unchecked::<Api>();
        let link = self.users.load(api, LinkOf, &self.model.id).await?;
        Ok(link.map(|link| Written(PersonLink::new(link, self.users.clone(), api))))
    }

    /// Who is responsible for the account, as a member has said it. Null also for a token that is limited to some
    /// instances.
    async fn owner(&self, ctx: &Context<'_>) -> Result<Option<Written<Person>>, ApiError> {
        let api = ctx.data_unchecked::<Api>();
        Ok(self.users.load(api, OwnerOf, &self.model.id).await?.map(Written))
    }

    /// What somebody should look at about the account; `OPEN` and `EXCEPTED` by default.
    #[graphql(complexity = "page::filtered_cost(first, __field, child_complexity)")]
    async fn findings(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The size of the page, from 1 to 100; 20 by default.")] first: Option<i32>,
        #[graphql(desc = "The cursor after which the page begins.")] after: Option<String>,
        #[graphql(desc = "Selects findings.")] filter: Option<FindingFilter>,
    ) -> Result<Written<FindingConnection>, ApiError> {
        let list = FindingList::new(ctx.data_unchecked(), filter)?;
        let page = connection::nested(ctx, self, list, first, after).await?;
        Ok(Written(FindingConnection(page, Among::Account(self.clone()))))
    }

    /// The id that the application gave the account; unique within the instance. A stand-in that begins with `erased-`, if
    /// the person was erased.
    fn external_id(&self) -> &str {
        &self.model.external_id
    }

    /// The e-mail address of the account.
    fn email(&self) -> Option<&str> {
        self.model.email.as_deref()
    }

    /// The name that the application shows.
    fn display_name(&self) -> Option<&str> {
        self.model.display_name.as_deref()
    }

    /// The status of the account in the application.
    fn status(&self) -> UserStatus {
        self.model.status
    }

    /// Whether the account has administrator rights in the application.
    fn is_admin(&self) -> Option<bool> {
        self.model.is_admin
    }

    /// Whether a second factor is set up for the account.
    fn mfa_enabled(&self) -> Option<bool> {
        self.model.mfa_enabled
    }

    /// The licences or seats of the account. Also empty if the application does not provide them.
    fn licenses(&self) -> Vec<String> {
        texts(self.model.licenses.as_deref())
    }

    /// When the account was last active. Null if it was never active, or if the application does not provide it; see
    /// `neverActive`.
    fn last_active_at(&self) -> Option<DateTime<Utc>> {
        self.model.last_active_at.filter(|at| *at != NEVER).map(date_time)
    }

    /// Whether the application says that the account was never active. Null if it is not known.
    fn never_active(&self) -> Option<bool> {
        self.model.last_active_at.map(|at| at == NEVER)
    }

    /// Whether a person, a program or several people use the account, as a member has said it, or else the application.
    async fn kind(&self, ctx: &Context<'_>) -> Result<Option<AccountKind>, ApiError> {
        let api = ctx.data_unchecked::<Api>();
        let link = self.users.load(api, LinkOf, &self.model.id).await?;
        Ok(link.and_then(|link| link.kind).or(self.model.kind))
    }

    /// Whether the account is of somebody who belongs to another organisation and was invited into this one.
    fn guest(&self) -> Option<bool> {
        self.model.guest
    }

    /// When the account was made in the application.
    fn created_at(&self) -> Option<DateTime<Utc>> {
        self.model.created_at.map(date_time)
    }

    /// The further e-mail addresses of the account. Also empty if the application does not provide them.
    fn aliases(&self) -> Vec<String> {
        texts(self.model.aliases.as_deref())
    }

    /// The id by which the company's directory or identity provider knows the account, as the application writes it.
    fn source_id(&self) -> Option<&str> {
        self.model.source_id.as_deref()
    }

    /// The number or text by which the company's personnel records know the person.
    fn employee_id(&self) -> Option<&str> {
        self.model.employee_id.as_deref()
    }

    /// The department of the person in the company.
    fn department(&self) -> Option<&str> {
        self.model.department.as_deref()
    }

    /// The manager of the person: an id or an address, as the application writes it.
    fn manager(&self) -> Option<&str> {
        self.model.manager.as_deref()
    }

    /// When a sync saw the account for the first time.
    fn first_seen_at(&self) -> DateTime<Utc> {
        date_time(self.model.first_seen_at)
    }

    /// When a sync saw the account for the last time.
    fn last_seen_at(&self) -> DateTime<Utc> {
        date_time(self.model.last_seen_at)
    }

    /// When a complete sync first no longer saw the account; null while the account exists.
    fn removed_at(&self) -> Option<DateTime<Utc>> {
        self.model.removed_at.map(date_time)
    }
}

/// The entries of a list as it is stored.
fn texts(list: Option<&str>) -> Vec<String> {
    list.and_then(|list| serde_json::from_str(list).ok()).unwrap_or_default()
}
