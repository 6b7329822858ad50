//! The traits of lists. Each list that clients page through has its own type, whose value holds the filter and the
//! order. A list may be a field of the root type ([`RootList`]), of each row of another list ([`NestedList`]), or of
//! both. [`super::connection`] reads its pages.

use std::borrow::Cow;
use std::collections::HashMap;
use std::hash::Hash;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::api::Api;
use super::batch::Batch;
use super::error::ApiError;
use crate::db::Total;

/// A list, with its filter and order.
pub trait List: Send + Sync + 'static {
    type Row: Clone + Send + Sync + 'static;
    /// What a cursor contains: the position of a row in the order of the list.
    type Position: Serialize + DeserializeOwned + Clone + PartialEq + Send + Sync + 'static;

    /// The name that cursors carry, so that a cursor of another list is refused.
    fn name(&self) -> Cow<'static, str>;

    fn position(&self, row: &Self::Row) -> Self::Position;
}

/// The rows of a page.
#[derive(Clone)]
pub struct PageRows<L: List> {
    pub rows: Vec<L::Row>,
    /// Where the list goes on if it ended early, such as a search that finds few of the rows that it looks at.
    pub rest: Option<L::Position>,
}

impl<L: List> From<Vec<L::Row>> for PageRows<L> {
    fn from(rows: Vec<L::Row>) -> Self {
        Self { rows, rest: None }
    }
}

/// A field of the root type.
pub trait RootList: List + Sized {
    /// At most `limit` rows after a position.
    fn page(
        &self,
        api: &Api,
        after: Option<Self::Position>,
        limit: u64,
    ) -> impl Future<Output = Result<PageRows<Self>, ApiError>> + Send;

    /// How many rows there are on all pages.
    fn total(&self, api: &Api) -> impl Future<Output = Result<Total, ApiError>> + Send;
}

/// A row that has lists below it.
pub trait Parent: Clone + Send + Sync + 'static {
    type Key: Eq + Hash + Clone + Send + Sync + 'static;

    fn key(&self) -> &Self::Key;

    /// The rows of the same list.
    fn batch(&self) -> &Batch<Self::Key>;
}

/// A field of each row of another list. The pages of equal ones are read at once for all parents.
pub trait NestedList: List + Clone + PartialEq {
    type Parent: Parent;

    /// For each of several parents, at most `limit` rows after the same position.
    fn pages(
        &self,
        api: &Api,
        parents: &[Key<Self>],
        after: Option<Self::Position>,
        limit: u64,
    ) -> impl Future<Output = Result<HashMap<Key<Self>, PageRows<Self>>, ApiError>> + Send;

    /// For each of several parents, how many rows there are on all pages.
    fn totals(
        &self,
        api: &Api,
        parents: &[Key<Self>],
    ) -> impl Future<Output = Result<HashMap<Key<Self>, Total>, ApiError>> + Send;
}

/// The key of a row that a nested list is below.
pub type Key<L> = <<L as NestedList>::Parent as Parent>::Key;
