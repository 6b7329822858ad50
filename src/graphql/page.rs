//! Which page of a list a client asks for: `first`, `after`, and the price of the page.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::error::ApiError;
use super::list::List;

/// The default of `first`.
pub const DEFAULT_SIZE: i32 = 20;
/// The maximum of `first`, and of the values in one field of a filter.
pub const MAX_SIZE: i32 = 100;

/// The price of a list for the complexity limit: its page size times the price of a row.
pub fn cost(first: Option<i32>, child: usize) -> usize {
    let first = first.unwrap_or(DEFAULT_SIZE).clamp(1, MAX_SIZE);
    1 + usize::try_from(first).unwrap_or(1) * child
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
        let size = match first.unwrap_or(DEFAULT_SIZE) {
            first @ 1..=MAX_SIZE => usize::try_from(first).unwrap_or(1),
            _ => return Err(ApiError::InvalidInput(format!("first must be from 1 to {MAX_SIZE}."))),
        };
        let after = after.map(|cursor| decode(list, cursor).ok_or_else(not_a_cursor)).transpose()?;
        Ok(Self { size, after })
    }
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
