//! Which page of a list a client asks for: `first`, `after`, and the price of the page.

use async_graphql::parser::types::Field;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::error::ApiError;
use super::list::List;

/// The default of `first`.
pub const DEFAULT_SIZE: i32 = 20;
/// The maximum of `first`, and of the values in one field of a filter.
pub const MAX_SIZE: i32 = 100;

/// The price of figures of all instances.
pub const FIGURES: usize = 80;
/// The price of when instances were evaluated.
pub const EVALUATED: usize = 20;

/// The price of `totalCount` until it is known which list it counts. It is beyond every sum of other prices.
pub const TOTAL: usize = 1 << 48;
/// The highest price of a list. Prices beyond the limit are all alike, and sums of them stay below [`TOTAL`].
const MAX_COST: usize = 1 << 30;

/// What it costs to find the rows of a list, and to count them. A unit is about 25 µs of CPU.
#[derive(Clone, Copy)]
struct Prices {
    rows: usize,
    total: usize,
}

/// An index has the rows, one after another.
const PLAIN: Prices = Prices { rows: 1, total: 40 };
/// Rows may have to be looked at one by one, such as those that a search finds.
const FILTERED: Prices = Prices { rows: 80, total: 400 };
/// Rows are looked at one by one, and made of their changes.
const PAST: Prices = Prices { rows: 800, total: 400 };

/// The price of a list for the complexity limit: its page size times the price of a row, and the price of its total.
pub fn cost(first: Option<i32>, child: usize) -> usize {
    price(PLAIN, first, child)
}

/// The price of a list that may have a filter, or be one of the past. The value of the filter is not looked at: it may have variables without a
/// value, and its faults are those of the execution.
pub fn filtered_cost(first: Option<i32>, field: &Field, child: usize) -> usize {
    let prices = match ["asOf", "filter"].map(|name| field.get_argument(name).is_some()) {
        [true, _] => PAST,
        [_, true] => FILTERED,
        _ => PLAIN,
    };
    price(prices, first, child)
}

fn price(prices: Prices, first: Option<i32>, child: usize) -> usize {
    // A list of any other size is refused before it is read.
    let Some(first) = size(first) else { return prices.rows };
    // However many fields show the total, it is counted once.
    let total = if child >= TOTAL { prices.total } else { 0 };
    (prices.rows + total + first * (child % TOTAL)).min(MAX_COST)
}

/// How many rows a page has. `None` if a page cannot have so many.
fn size(first: Option<i32>) -> Option<usize> {
    let first = first.unwrap_or(DEFAULT_SIZE);
    usize::try_from(first).ok().filter(|_| (1..=MAX_SIZE).contains(&first))
}

/// The values of one field of a filter, which are at most [`MAX_SIZE`].
pub fn bounded<T>(values: Option<Vec<T>>, name: &str) -> Result<Option<Vec<T>>, ApiError> {
    match values {
        Some(values) if values.len() > usize::try_from(MAX_SIZE).unwrap_or(0) => {
            Err(ApiError::InvalidInput(format!("{name} can have at most {MAX_SIZE} values.")))
        }
        values => Ok(values),
    }
}

/// The arguments of a list, decoded.
pub struct PageRequest<L: List> {
    pub size: usize,
    pub after: Option<L::Position>,
}

impl<L: List> PageRequest<L> {
    pub fn new(list: &L, first: Option<i32>, after: Option<&str>) -> Result<Self, ApiError> {
        let size = sized(first)?;
        let after = after.map(|cursor| decode(list, cursor).ok_or_else(not_a_cursor)).transpose()?;
        Ok(Self { size, after })
    }
}

/// How many rows a page has.
pub fn sized(first: Option<i32>) -> Result<usize, ApiError> {
    size(first).ok_or_else(|| ApiError::InvalidInput(format!("first must be from 1 to {MAX_SIZE}.")))
}

/// The error for a cursor of another list.
pub fn not_a_cursor() -> ApiError {
    ApiError::InvalidInput("after is not a cursor of this list.".into())
}

/// The cursor of a row.
pub fn cursor<L: List>(list: &L, row: &L::Row) -> String {
    cursor_at(list, &list.position(row))
}

/// The cursor of a position.
pub fn cursor_at<L: List>(list: &L, position: &L::Position) -> String {
    let text = serde_json::to_string(&(list.name(), position)).unwrap_or_default();
    URL_SAFE_NO_PAD.encode(text)
}

fn decode<L: List>(list: &L, cursor: &str) -> Option<L::Position> {
    let bytes = URL_SAFE_NO_PAD.decode(cursor).ok()?;
    let (name, position): (String, L::Position) = serde_json::from_slice(&bytes).ok()?;
    (name == list.name()).then_some(position)
}

/// A count as the API shows it: 32 bits, and the largest of them for anything larger.
pub fn int(count: i64) -> i32 {
    i32::try_from(count).unwrap_or(i32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_total_is_counted_once_and_a_row_as_often_as_there_are_rows() {
        assert_eq!(cost(None, 3), 1 + 20 * 3);
        assert_eq!(cost(Some(100), 3), 1 + 100 * 3);
        assert_eq!(cost(Some(10), 2 * TOTAL + 3), 1 + 40 + 10 * 3);
        assert_eq!(price(FILTERED, Some(10), TOTAL + 3), 80 + 400 + 10 * 3);
    }

    #[test]
    fn a_page_that_will_be_refused_costs_no_rows() {
        for first in [-1, 0, 101, i32::MAX] {
            assert_eq!(cost(Some(first), TOTAL + 3), 1);
        }
    }

    #[test]
    fn the_price_of_nested_lists_never_looks_like_a_total() {
        let deep = (0..20).fold(1, |child, _| cost(Some(100), child));
        assert_eq!(deep, MAX_COST);
        assert!(2_000 * deep < TOTAL && (2_000 * TOTAL).checked_mul(2).is_some());
        assert_eq!(cost(Some(100), 2_000 * deep), MAX_COST);
    }
}
