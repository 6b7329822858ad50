//! Whose an account is, and why.

use std::collections::HashMap;
use std::sync::Arc;

use async_graphql::{Context, Object, SimpleObject};
use entity::account_link::{Rule, State};
use uuid::Uuid;

use super::Person;
use crate::directory::linked::{self, Link};
use crate::graphql::api::Api;
use crate::graphql::batch::{Batch, Relation};
use crate::graphql::error::ApiError;
use crate::graphql::written::fields;
use crate::people::{queries, suggestions};

/// The most suggestions for one account.
const MAX_SUGGESTIONS: i32 = 10;

/// The links of accounts.
#[derive(PartialEq)]
pub struct LinkOf;

impl Relation for LinkOf {
    type Key = Uuid;
    type Value = Link;

    async fn fetch(&self, api: &Api, users: &[Uuid]) -> Result<HashMap<Uuid, Link>, ApiError> {
        Ok(linked::links(api.people.db.read(), users).await?)
    }
}

/// The people of accounts.
#[derive(PartialEq)]
pub struct PersonOf;

impl Relation for PersonOf {
    type Key = Uuid;
    type Value = Person;

    async fn fetch(&self, api: &Api, users: &[Uuid]) -> Result<HashMap<Uuid, Person>, ApiError> {
        // A person has accounts in other instances, too.
        if api.seen.is_some() {
            return Ok(HashMap::new());
        }
        let reader = api.people.db.read();
        let links = linked::links(reader, users).await?;
        let mut ids: Vec<Uuid> = links.values().filter_map(|link| link.person_id).collect();
        ids.sort_unstable();
        ids.dedup();
        let people = queries::by_ids(reader, &ids).await?;
        let people: HashMap<Uuid, Person> =
            Person::list(people.into_values().collect()).into_iter().map(|person| (person.key(), person)).collect();
        let person = |link: Link| Some((link.user_id, people.get(&link.person_id?)?.clone()));
        Ok(links.into_values().filter_map(person).collect())
    }
}

/// People by their ids.
#[derive(PartialEq)]
pub struct PersonById;

impl Relation for PersonById {
    type Key = Uuid;
    type Value = Person;

    async fn fetch(&self, api: &Api, ids: &[Uuid]) -> Result<HashMap<Uuid, Person>, ApiError> {
        let people = queries::by_ids(api.people.db.read(), ids).await?;
        let people = Person::list(people.into_values().collect());
        Ok(people.into_iter().map(|person| (person.key(), person)).collect())
    }
}

/// Who is responsible for accounts.
#[derive(PartialEq)]
pub struct OwnerOf;

impl Relation for OwnerOf {
    type Key = Uuid;
    type Value = Person;

    async fn fetch(&self, api: &Api, users: &[Uuid]) -> Result<HashMap<Uuid, Person>, ApiError> {
        if api.seen.is_some() {
            return Ok(HashMap::new());
        }
        let (users, models): (Vec<_>, Vec<_>) = queries::owners(api.people.db.read(), users).await?.into_iter().unzip();
        Ok(users.into_iter().zip(Person::list(models)).collect())
    }
}

#[derive(Clone, PartialEq)]
struct SuggestionsFor(u64);

impl Relation for SuggestionsFor {
    type Key = Uuid;
    type Value = Vec<Person>;

    async fn fetch(&self, api: &Api, users: &[Uuid]) -> Result<HashMap<Uuid, Vec<Person>>, ApiError> {
        if api.seen.is_some() {
            return Ok(HashMap::new());
        }
        let found = suggestions::suggest(api.people.db.read(), users, self.0).await?;
        Ok(found.into_iter().map(|(user, people)| (user, Person::list(people))).collect())
    }
}

pub struct PersonLink {
    link: Link,
    /// The accounts of the list.
    users: Arc<Batch<Uuid>>,
    /// Whether the caller sees some instances only.
    is_limited: bool,
}

impl PersonLink {
    pub fn new(link: Link, users: Arc<Batch<Uuid>>, api: &Api) -> Self {
        Self { link, users, is_limited: api.seen.is_some() }
    }
}

/// Whose an account is, and why.
#[fields]
#[Object]
impl PersonLink {
    /// What is known of whose the account is.
    fn state(&self) -> State {
        self.link.state
    }

    /// The rule that decided it; null if none did.
    fn rule(&self) -> Option<Rule> {
        self.link.rule
    }

    /// What the rule has compared, such as an address; for a member's decision, who decided, and the reason. Null also for
    /// a token that is limited to some instances.
    fn evidence(&self) -> Option<&str> {
        self.link.evidence.as_deref().filter(|_| !self.is_limited)
    }

    /// For an account without a person: people who have the same name, or whose address is alike. Names never link an
    /// account; a member has to decide with `linkAccount`. Empty for a token that is limited to some instances.
    #[graphql(complexity = "20 + 10 * child_complexity")]
    async fn suggestions(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "How many at most, from 1 to 10; 3 by default.")] limit: Option<i32>,
    ) -> Result<Vec<Suggestion>, ApiError> {
        let limit = limit.unwrap_or(3);
        if !(1..=MAX_SUGGESTIONS).contains(&limit) {
            return Err(ApiError::InvalidInput(format!("limit must be from 1 to {MAX_SUGGESTIONS}.")));
        }
        if self.link.person_id.is_some() {
            return Ok(Vec::new());
        }
        let relation = SuggestionsFor(limit.unsigned_abs().into());
        let people = self.users.load(ctx.data_unchecked::<Api>(), relation, &self.link.user_id).await?;
        Ok(people.unwrap_or_default().into_iter().map(|person| Suggestion { person }).collect())
    }
}

/// Somebody whose account it may be.
#[derive(SimpleObject)]
pub struct Suggestion {
    /// The person.
    person: Person,
}
