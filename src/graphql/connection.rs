//! Pages of lists as the API shows them: connections, as the Relay specification describes them.
//!
//! [`root`] and [`nested`] are the only two ways to read a page of a list.

use std::collections::HashMap;

use async_graphql::Context;
use async_trait::async_trait;
use tokio::sync::OnceCell;

use super::api::Api;
use super::batch::Relation;
use super::error::ApiError;
use super::list::{Key, NestedList, PageRows, Parent, RootList};
use super::page::{self, PageRequest};
use crate::db::Total;
use crate::graphql::written::Fields;

/// A page of a list at the root of the schema.
pub async fn root<L: RootList>(
    ctx: &Context<'_>,
    list: L,
    first: Option<i32>,
    after: Option<String>,
) -> Result<Page<L::Row>, ApiError> {
    let PageRequest { size, after } = PageRequest::new(&list, first, after.as_deref())?;
    let has_previous = after.is_some();
    let rows = list.page(ctx.data_unchecked(), after, size as u64 + 1).await?;
    let rest = rows.rest.as_ref().map(|position| page::cursor_at(&list, position));
    Ok(Page::new(Box::new(Root(list)), rows.rows, rest, size, has_previous))
}

/// A page of a list below `parent`.
pub async fn nested<L: NestedList>(
    ctx: &Context<'_>,
    parent: &L::Parent,
    list: L,
    first: Option<i32>,
    after: Option<String>,
) -> Result<Page<L::Row>, ApiError> {
    let PageRequest { size, after } = PageRequest::new(&list, first, after.as_deref())?;
    let has_previous = after.is_some();
    let pages = Pages { list: list.clone(), after, limit: size as u64 + 1 };
    let api: &Api = ctx.data_unchecked();
    let rows = parent.batch().load(api, pages, parent.key()).await?.unwrap_or_else(|| Vec::new().into());
    let rest = rows.rest.as_ref().map(|position| page::cursor_at(&list, position));
    Ok(Page::new(Box::new(Nested { list, parent: parent.clone() }), rows.rows, rest, size, has_previous))
}

/// A page of a list.
pub struct Page<R> {
    list: Box<dyn Whole<R>>,
    rows: Vec<R>,
    /// The cursor at which the list goes on if the page ended early.
    rest: Option<String>,
    has_next: bool,
    has_previous: bool,
    total: OnceCell<Total>,
}

impl<R> Page<R> {
    /// `rows` may hold one more than `size`, which shows that there is another page.
    fn new(list: Box<dyn Whole<R>>, mut rows: Vec<R>, rest: Option<String>, size: usize, has_previous: bool) -> Self {
        let rest = rest.filter(|_| rows.len() <= size);
        let has_next = rows.len() > size || rest.is_some();
        rows.truncate(size);
        Self { list, rows, rest, has_next, has_previous, total: OnceCell::new() }
    }

    pub fn rows(&self) -> &[R] {
        &self.rows
    }

    /// The rows with their cursors, each of which is encoded only when it is asked for.
    pub fn edges(&self) -> impl Iterator<Item = Edge<'_, R>> {
        self.rows.iter().map(|row| Edge { list: self.list.as_ref(), row })
    }

    pub fn info(&self) -> PageInfo {
        let cursor = |row| self.list.cursor(row);
        PageInfo {
            has_next_page: self.has_next,
            has_previous_page: self.has_previous,
            start_cursor: self.rows.first().map(cursor),
            end_cursor: self.rest.clone().or_else(|| self.rows.last().map(cursor)),
        }
    }

    /// Counted once, however many fields show it.
    pub async fn total(&self, api: &Api) -> Result<Total, ApiError> {
        self.total.get_or_try_init(|| self.list.total(api)).await.copied()
    }
}

/// A row of a page, and the list that it is in.
pub struct Edge<'a, R> {
    list: &'a dyn Whole<R>,
    pub row: &'a R,
}

impl<R> Edge<'_, R> {
    pub fn cursor(&self) -> String {
        self.list.cursor(self.row)
    }
}

/// The position of a page in its list.
#[derive(async_graphql::SimpleObject, Fields)]
pub struct PageInfo {
    /// Whether there may be more rows after `endCursor`.
    has_next_page: bool,
    /// Whether this page began after a cursor, so that there may be rows before it.
    has_previous_page: bool,
    /// The cursor of the first row; null on an empty page.
    start_cursor: Option<String>,
    /// For `after` of the next page: the cursor of the last row, or the place at which a search goes on that has looked
    /// at many users and found few of them or none. Null if there is neither.
    end_cursor: Option<String>,
}

/// The list that a page is of. Several lists may have the same rows, and then pages of one type.
#[async_trait]
trait Whole<R>: Send + Sync {
    fn cursor(&self, row: &R) -> String;

    /// How many rows there are on all pages.
    async fn total(&self, api: &Api) -> Result<Total, ApiError>;
}

struct Root<L>(L);

#[async_trait]
impl<L: RootList> Whole<L::Row> for Root<L> {
    fn cursor(&self, row: &L::Row) -> String {
        page::cursor(&self.0, row)
    }

    async fn total(&self, api: &Api) -> Result<Total, ApiError> {
        self.0.total(api).await
    }
}

struct Nested<L: NestedList> {
    list: L,
    parent: L::Parent,
}

#[async_trait]
impl<L: NestedList> Whole<L::Row> for Nested<L> {
    fn cursor(&self, row: &L::Row) -> String {
        page::cursor(&self.list, row)
    }

    async fn total(&self, api: &Api) -> Result<Total, ApiError> {
        let Nested { list, parent } = self;
        let total = parent.batch().load(api, Totals(list.clone()), parent.key()).await?;
        Ok(total.unwrap_or(Total::exact(0)))
    }
}

/// The pages of a nested list as a relation of its parents.
#[derive(PartialEq)]
struct Pages<L: NestedList> {
    list: L,
    after: Option<L::Position>,
    limit: u64,
}

impl<L: NestedList> Relation for Pages<L> {
    type Key = Key<L>;
    type Value = PageRows<L>;

    async fn fetch(&self, api: &Api, parents: &[Key<L>]) -> Result<HashMap<Key<L>, PageRows<L>>, ApiError> {
        self.list.pages(api, parents, self.after.clone(), self.limit).await
    }
}

/// The sizes of a nested list as a relation of its parents.
#[derive(PartialEq)]
struct Totals<L: NestedList>(L);

impl<L: NestedList> Relation for Totals<L> {
    type Key = Key<L>;
    type Value = Total;

    async fn fetch(&self, api: &Api, parents: &[Key<L>]) -> Result<HashMap<Key<L>, Total>, ApiError> {
        self.0.totals(api, parents).await
    }
}

/// The connection and edge types of a list. A type in parentheses is what further fields need besides the page.
macro_rules! connection {
    ($connection:ident $(($also:ty))?, $edge:ident, $list:ty, $rows:literal $(, { $($more:tt)* })?) => {
        pub struct $connection(
            pub crate::graphql::connection::Page<<$list as crate::graphql::list::List>::Row>,
            $(pub $also,)?
        );

        pub struct $edge<'a>(crate::graphql::connection::Edge<'a, <$list as crate::graphql::list::List>::Row>);

        #[doc = concat!("A page of ", $rows, ".")]
        #[crate::graphql::written::fields]
        #[async_graphql::Object]
        impl $connection {
            /// The rows with their cursors.
            async fn edges(&self) -> crate::graphql::written::Rows<Vec<$edge<'_>>> {
                crate::graphql::written::Rows(self.0.edges().map($edge).collect())
            }

            /// The rows without their cursors.
            async fn nodes(&self) -> crate::graphql::written::Rows<&[<$list as crate::graphql::list::List>::Row]> {
                crate::graphql::written::Rows(self.0.rows())
            }

            /// Whether there are more pages, and the cursors of this one.
            fn page_info(&self) -> crate::graphql::connection::PageInfo {
                self.0.info()
            }

            /// How many rows there are on all pages. They are counted only if this field is selected. Rows that have
            /// to be counted one by one are counted up to 10,000; see `totalCountIsExact`.
            #[graphql(complexity = "crate::graphql::page::TOTAL")]
            async fn total_count(
                &self,
                ctx: &async_graphql::Context<'_>,
            ) -> Result<i32, crate::graphql::error::ApiError> {
                Ok(crate::graphql::page::int(self.0.total(ctx.data_unchecked()).await?.rows))
            }

            /// False if there are more rows than `totalCount`, which is then to be shown as "10,000+".
            #[graphql(complexity = "crate::graphql::page::TOTAL")]
            async fn total_count_is_exact(
                &self,
                ctx: &async_graphql::Context<'_>,
            ) -> Result<bool, crate::graphql::error::ApiError> {
                Ok(self.0.total(ctx.data_unchecked()).await?.is_exact)
            }
            $($($more)*)?
        }

        #[doc = concat!("One row of a list of ", $rows, ", with its cursor.")]
        #[crate::graphql::written::fields]
        #[async_graphql::Object]
        impl $edge<'_> {
            /// The position of the row in the list, for `after`.
            fn cursor(&self) -> String {
                self.0.cursor()
            }

            /// The row.
            async fn node(&self) -> crate::graphql::written::Written<&<$list as crate::graphql::list::List>::Row> {
                crate::graphql::written::Written(self.0.row)
            }
        }
    };
}
pub(crate) use connection;
