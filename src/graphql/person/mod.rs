//! People: the type, its lists, whose accounts are, and a file for each kind of mutation.

use std::collections::HashMap;
use std::sync::Arc;

use async_graphql::{Context, ID, Object};
use chrono::{DateTime, Utc};
use entity::person::{Model, State};
use uuid::Uuid;

use self::accounts::AccountList;
use super::api::Api;
use super::batch::{Batch, Relation};
use super::connection;
use super::error::ApiError;
use super::id::{self, Kind};
use super::list::Parent;
use super::page;
use super::user::list::UserConnection;
use super::written::{Written, fields};
use crate::clock::date_time;
use crate::people::queries::{self, Found, Manager, Position};

pub mod accounts;
pub mod decide;
pub mod erase;
pub mod link;
pub mod list;
pub mod settings;

#[derive(Clone)]
pub struct Person {
    model: Arc<Model>,
    relations: Arc<Relations>,
    /// The position in the list that the person was found in.
    position: Position,
}

/// Shared by the people of one list.
struct Relations {
    people: Batch<Uuid>,
    managers: Batch<Manager>,
}

impl Person {
    /// Rows of a page of people.
    pub fn found(found: Vec<Found>) -> Vec<Person> {
        let relations = Arc::new(Relations {
            people: Batch::new(found.iter().map(|found| found.person.id)),
            managers: Batch::new(found.iter().filter_map(|found| manager(&found.person))),
        });
        let person =
            |Found { person, position }| Person { model: Arc::new(person), relations: relations.clone(), position };
        found.into_iter().map(person).collect()
    }

    /// Rows of one list.
    pub fn list(models: Vec<Model>) -> Vec<Person> {
        let found = |person: Model| Found { position: Position::Id(person.id), person };
        Self::found(models.into_iter().map(found).collect())
    }

    pub fn key(&self) -> Uuid {
        self.model.id
    }

    pub fn position(&self) -> &Position {
        &self.position
    }
}

/// How the source names the manager of a person.
fn manager(person: &Model) -> Option<Manager> {
    Some((person.source_instance_id?, person.manager.clone()?))
}

impl Parent for Person {
    type Key = Uuid;

    fn key(&self) -> &Uuid {
        &self.model.id
    }

    fn batch(&self) -> &Batch<Uuid> {
        &self.relations.people
    }
}

/// Somebody whose accounts are known: a person of a people source, or somebody who is known by an address.
#[fields]
#[Object]
impl Person {
    /// The opaque id. It is permanent as long as a people source has the person.
    pub fn id(&self) -> ID {
        id::encode(Kind::Person, self.model.id)
    }

    /// The name.
    fn display_name(&self) -> Option<&str> {
        self.model.display_name.as_deref()
    }

    /// The e-mail address, as the people source writes it.
    fn email(&self) -> Option<&str> {
        self.model.email.as_deref()
    }

    /// The department.
    fn department(&self) -> Option<&str> {
        self.model.department.as_deref()
    }

    /// The number or text by which the personnel records know the person.
    fn employee_id(&self) -> Option<&str> {
        self.model.employee_id.as_deref()
    }

    /// Whether the person is with the company, as the people sources say. Without a people source, this is always
    /// `UNKNOWN`.
    fn state(&self) -> State {
        self.model.state
    }

    /// When the server learned that. It may have been true for longer.
    fn state_since(&self) -> DateTime<Utc> {
        date_time(self.model.state_since)
    }

    /// When the source that decides the state was last read. Null if no source decides it.
    async fn state_as_of(&self, ctx: &Context<'_>) -> Result<Option<DateTime<Utc>>, ApiError> {
        let api = ctx.data_unchecked::<Api>();
        Ok(self.relations.people.load(api, AsOf, &self.model.id).await?.map(date_time))
    }

    /// Whether the address is outside of the owned domains, and no people source has the person. Null if no domain is
    /// declared as owned.
    fn is_external(&self) -> Option<bool> {
        self.model.is_external
    }

    /// The manager, as the people source says it. Null also if the manager is not known.
    async fn manager(&self, ctx: &Context<'_>) -> Result<Option<Written<Person>>, ApiError> {
        let Some(manager) = manager(&self.model) else { return Ok(None) };
        let api = ctx.data_unchecked::<Api>();
        Ok(self.relations.managers.load(api, ManagerOf, &manager).await?.map(Written))
    }

    /// The accounts of the person, in the order in which they were first seen.
    #[graphql(complexity = "page::cost(first, child_complexity)")]
    async fn accounts(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The size of the page, from 1 to 100; 20 by default.")] first: Option<i32>,
        #[graphql(desc = "The cursor after which the page begins.")] after: Option<String>,
        #[graphql(desc = "True to include the removed accounts that the server still has.")] include_removed: Option<
            bool,
        >,
    ) -> Result<Written<UserConnection>, ApiError> {
        let list = AccountList::new(ctx.data_unchecked(), include_removed.unwrap_or(false));
        Ok(Written(UserConnection(connection::nested(ctx, self, list, first, after).await?)))
    }
}

/// When the source that decides the state of a person was last read.
#[derive(PartialEq)]
struct AsOf;

impl Relation for AsOf {
    type Key = Uuid;
    type Value = i64;

    async fn fetch(&self, api: &Api, people: &[Uuid]) -> Result<HashMap<Uuid, i64>, ApiError> {
        Ok(queries::as_of(api.people.db.read(), people).await?)
    }
}

/// The managers of people.
#[derive(PartialEq)]
struct ManagerOf;

impl Relation for ManagerOf {
    type Key = Manager;
    type Value = Person;

    async fn fetch(&self, api: &Api, named: &[Manager]) -> Result<HashMap<Manager, Person>, ApiError> {
        let (named, models): (Vec<_>, Vec<_>) =
            queries::managers(api.people.db.read(), named).await?.into_iter().unzip();
        Ok(named.into_iter().zip(Person::list(models)).collect())
    }
}
