//! Lists of people.

use std::borrow::Cow;

use async_graphql::{Context, ID, InputObject, Object};
use entity::person::State;

use super::Person;
use crate::audit::{Origin, Subject};
use crate::db::Total;
use crate::directory::words::Terms;
use crate::graphql::api::Api;
use crate::graphql::connection::{self, connection};
use crate::graphql::error::{ApiError, nullable};
use crate::graphql::id::{self, Kind};
use crate::graphql::list::{List, PageRows, RootList};
use crate::graphql::page;
use crate::graphql::written::Written;
use crate::people::queries::{self, Filter, Position};

/// Selects people. All fields that are given must match.
#[derive(InputObject, Default)]
pub struct PersonFilter {
    /// People in one of these states.
    states: Option<Vec<State>>,
    /// True for people who are known by an address outside of the owned domains only; false for the others.
    is_external: Option<bool>,
    /// People whom each word of this text finds, as in `UserFilter.search`.
    search: Option<String>,
}

/// In the order of their ids; a search is in the order of the words that it finds.
#[derive(Clone, PartialEq)]
pub struct PersonList(Filter);

impl PersonList {
    fn new(filter: Option<PersonFilter>) -> Self {
        let PersonFilter { states, is_external, search } = filter.unwrap_or_default();
        Self(Filter { states, is_external, search: search.map(|text| Terms::of(&text)).unwrap_or_default() })
    }
}

impl List for PersonList {
    type Row = Person;
    type Position = Position;

    fn name(&self) -> Cow<'static, str> {
        if self.0.search.is_empty() { "people".into() } else { "people by words".into() }
    }

    fn position(&self, person: &Person) -> Position {
        person.position().clone()
    }
}

impl RootList for PersonList {
    async fn page(&self, api: &Api, after: Option<Position>, limit: u64) -> Result<PageRows<Self>, ApiError> {
        if after.as_ref().is_some_and(|after| !queries::is_in(&self.0, after)) {
            return Err(page::not_a_cursor());
        }
        let found = queries::page(api.people.db.read(), &self.0, after, limit).await?;
        Ok(Person::found(found).into())
    }

    async fn total(&self, api: &Api) -> Result<Total, ApiError> {
        Ok(queries::total(api.people.db.read(), &self.0).await?)
    }
}

connection!(PersonConnection, PersonEdge, PersonList, "people");

#[derive(Default)]
pub struct PersonQuery;

#[Object]
impl PersonQuery {
    /// The people who have an account in an instance.
    #[graphql(complexity = "page::filtered_cost(first, __field, child_complexity)")]
    async fn persons(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The size of the page, from 1 to 100; 20 by default.")] first: Option<i32>,
        #[graphql(desc = "The cursor after which the page begins.")] after: Option<String>,
        #[graphql(desc = "Selects people.")] filter: Option<PersonFilter>,
    ) -> Result<Written<PersonConnection>, ApiError> {
        Ok(Written(PersonConnection(connection::root(ctx, PersonList::new(filter), first, after).await?)))
    }

    /// A person by id. Null if nobody has that id, or no longer. Reading it is recorded in the audit log.
    async fn person(&self, ctx: &Context<'_>, #[graphql(desc = "The id.")] id: ID) -> Option<Written<Person>> {
        let api = ctx.data_unchecked::<Api>();
        let found = async {
            let id = id::argument(Kind::Person, &id)?;
            let found = queries::by_ids(api.people.db.read(), &[id]).await?;
            Ok(Person::list(found.into_values().collect()).pop())
        };
        let person = nullable(ctx, found.await)?;
        if let Some(origin) = ctx.data_opt::<Origin>() {
            Box::pin(api.journal.note_reading(origin, Subject::person(person.key()))).await;
        }
        Some(Written(person))
    }
}
