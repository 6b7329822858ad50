//! Pages of lists: arguments, cursors and connection types.

use std::pin::Pin;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::graphql::error::ApiError;

/// How many a page holds when nobody says.
pub const DEFAULT: i32 = 20;
/// How many a page holds at most.
pub const MOST: i32 = 100;

/// The price of a list for the complexity limit: its page size times that of a row.
pub fn cost(first: Option<i32>, child: usize) -> usize {
    let first = first.unwrap_or(DEFAULT).clamp(1, MOST);
    1 + usize::try_from(first).unwrap_or(1) * child
}

/// The page size that was asked for.
pub fn size(first: Option<i32>) -> Result<usize, ApiError> {
    match first.unwrap_or(DEFAULT) {
        first @ 1..=MOST => Ok(usize::try_from(first).unwrap_or(1)),
        _ => Err(ApiError::InvalidInput(format!("first is from 1 to {MOST}."))),
    }
}

/// A list of a filter, which holds no more than a page.
pub fn bounded<T>(list: Option<Vec<T>>, name: &str) -> Result<Option<Vec<T>>, ApiError> {
    match list {
        Some(list) if list.len() > usize::try_from(MOST).unwrap_or(0) => {
            Err(ApiError::InvalidInput(format!("{name} holds at most {MOST} values.")))
        }
        list => Ok(list),
    }
}

/// A place in a list, as clients carry it.
pub fn encode<K: Serialize>(list: &str, key: &K) -> String {
    let text = serde_json::to_string(&(list, key)).unwrap_or_default();
    URL_SAFE_NO_PAD.encode(text)
}

/// The place that a cursor of this very list names.
pub fn decode<K: DeserializeOwned>(list: &str, cursor: Option<&str>) -> Result<Option<K>, ApiError> {
    let Some(cursor) = cursor else { return Ok(None) };
    let parse = || {
        let bytes = URL_SAFE_NO_PAD.decode(cursor).ok()?;
        let (of, key): (String, K) = serde_json::from_slice(&bytes).ok()?;
        (of == list).then_some(key)
    };
    parse().map(Some).ok_or_else(|| ApiError::InvalidInput("after is not a cursor of this list.".into()))
}

/// Where a page stands in its list.
#[derive(async_graphql::SimpleObject)]
pub struct PageInfo {
    /// Whether there is more after `endCursor`.
    has_next_page: bool,
    /// Whether this page began after a cursor, so that there may be more before it.
    has_previous_page: bool,
    /// The cursor of the first row; null on an empty page.
    start_cursor: Option<String>,
    /// The cursor of the last row, to be given as `after`; null on an empty page.
    end_cursor: Option<String>,
}

/// Counts all rows of a list when somebody asks.
pub type Total = Arc<dyn Fn() -> Pin<Box<dyn Future<Output = Result<i64, ApiError>> + Send>> + Send + Sync>;

/// A page: rows with their cursors.
pub struct Page<T> {
    pub rows: Vec<(String, T)>,
    pub more: bool,
    pub after_cursor: bool,
    pub total: Total,
}

impl<T> Page<T> {
    /// From rows of which one more than `size` was read, to see whether there are more.
    pub fn new(mut rows: Vec<(String, T)>, size: usize, after: Option<&str>, total: Total) -> Self {
        let more = rows.len() > size;
        rows.truncate(size);
        Page { rows, more, after_cursor: after.is_some(), total }
    }

    pub fn info(&self) -> PageInfo {
        PageInfo {
            has_next_page: self.more,
            has_previous_page: self.after_cursor,
            start_cursor: self.rows.first().map(|(cursor, _)| cursor.clone()),
            end_cursor: self.rows.last().map(|(cursor, _)| cursor.clone()),
        }
    }
}

/// A total that is known already.
pub fn known_total(count: usize) -> Total {
    Arc::new(move || Box::pin(async move { Ok(i64::try_from(count).unwrap_or(i64::MAX)) }))
}

/// Counts fit the API's 32 bits, or are shown as the most that they hold.
pub fn int(count: i64) -> i32 {
    i32::try_from(count).unwrap_or(i32::MAX)
}

/// The connection and edge types of a list of `$node`s.
macro_rules! connection {
    ($connection:ident, $edge:ident, $node:ty, $what:literal) => {
        #[doc = concat!("A page of ", $what, ".")]
        pub struct $connection(pub crate::graphql::page::Page<$node>);

        #[doc = concat!("One of ", $what, ", with its place in the list.")]
        pub struct $edge<'a>(&'a (String, $node));

        #[doc = concat!("A page of ", $what, ".")]
        #[async_graphql::Object]
        impl $connection {
            /// The rows with their cursors.
            async fn edges(&self) -> Vec<$edge<'_>> {
                self.0.rows.iter().map($edge).collect()
            }

            /// The rows alone.
            async fn nodes(&self) -> Vec<&$node> {
                self.0.rows.iter().map(|(_, node)| node).collect()
            }

            /// Whether there is more, and from where.
            async fn page_info(&self) -> crate::graphql::page::PageInfo {
                self.0.info()
            }

            /// How many rows the whole list has; counted only when it is asked for.
            async fn total_count(&self) -> Result<i32, crate::graphql::error::ApiError> {
                Ok(crate::graphql::page::int((self.0.total)().await?))
            }
        }

        #[doc = concat!("One of ", $what, ", with its place in the list.")]
        #[async_graphql::Object]
        impl $edge<'_> {
            /// The row's place, to be given as `after`.
            async fn cursor(&self) -> &str {
                &self.0.0
            }

            /// The row.
            async fn node(&self) -> &$node {
                &self.0.1
            }
        }
    };
}
pub(crate) use connection;
