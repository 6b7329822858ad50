//! The accounts of people, as lists below them.

use std::borrow::Cow;
use std::collections::HashMap;

use uuid::Uuid;

use super::Person;
use crate::db::Total;
use crate::directory::linked::{self, Shown};
use crate::graphql::api::Api;
use crate::graphql::batch::regroup;
use crate::graphql::error::ApiError;
use crate::graphql::list::{List, NestedList, PageRows};
use crate::graphql::user::User;

/// The accounts of a person.
#[derive(Clone, PartialEq)]
pub struct AccountList(Shown);

impl AccountList {
    pub fn new(api: &Api, include_removed: bool) -> Self {
        Self(Shown { include_removed, seen: api.seen.clone() })
    }
}

impl List for AccountList {
    type Row = User;
    type Position = Uuid;

    fn name(&self) -> Cow<'static, str> {
        "accounts".into()
    }

    fn position(&self, user: &User) -> Uuid {
        user.key()
    }
}

impl NestedList for AccountList {
    type Parent = Person;

    async fn pages(
        &self,
        api: &Api,
        people: &[Uuid],
        after: Option<Uuid>,
        limit: u64,
    ) -> Result<HashMap<Uuid, PageRows<Self>>, ApiError> {
        let pages = linked::pages(api.people.db.read(), people, &self.0, after, limit).await?;
        Ok(regroup(pages, User::list))
    }

    async fn totals(&self, api: &Api, people: &[Uuid]) -> Result<HashMap<Uuid, Total>, ApiError> {
        Ok(linked::totals(api.people.db.read(), people, &self.0).await?)
    }
}
