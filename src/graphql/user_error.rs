//! Refusals, in the form that payloads of mutations show.

use async_graphql::resolver_utils::enum_value;
use async_graphql::{SimpleObject, Value};

use super::error::ApiError;
use crate::audit;
use crate::error::{Error, Refusal, RefusalCode};

/// An expected refusal, which the caller can act on. Nothing was changed.
#[derive(SimpleObject)]
pub struct UserError {
    /// What is wrong, for a program.
    code: RefusalCode,
    /// What is wrong, for a person.
    message: String,
    /// The path of the wrong input field, from the top of the input, such as `["config", "token"]`. Null if no single
    /// field is wrong.
    field: Option<Vec<String>>,
}

impl UserError {
    /// Whether somebody else has changed the thing meanwhile.
    pub fn is_conflict(&self) -> bool {
        self.code == RefusalCode::RevisionConflict
    }
}

impl From<Refusal> for UserError {
    fn from(refusal: Refusal) -> Self {
        let Refusal { code, message, field } = refusal;
        UserError { code, message, field: (!field.is_empty()).then_some(field) }
    }
}

/// Separates refusals, which are part of a payload, from errors, which replace the payload.
pub fn split_refusals<T>(result: Result<T, Error>) -> Result<Result<T, Vec<UserError>>, ApiError> {
    match result {
        Ok(value) => Ok(Ok(value)),
        Err(Error::Refused(refusals)) => {
            if let Some(Refusal { code, .. }) = refusals.first() {
                note_refusal(*code);
            }
            Ok(Err(refusals.into_iter().map(UserError::from).collect()))
        }
        Err(other) => Err(ApiError::hide(other)),
    }
}

/// Notes for the audit log that the mutation is refused.
pub fn note_refusal(code: RefusalCode) {
    if let Value::Enum(code) = enum_value(code) {
        audit::note_refusal(&code);
    }
}

/// As [`split_refusals`], for a mutation of one thing: a refusal without a field is about
/// the thing itself, and gets `id_field`, the input field that holds its id.
pub fn split_refusals_about<T>(
    id_field: &str,
    result: Result<T, Error>,
) -> Result<Result<T, Vec<UserError>>, ApiError> {
    let mut split = split_refusals(result)?;
    if let Err(errors) = &mut split {
        for error in errors {
            error.field.get_or_insert_with(|| vec![id_field.to_owned()]);
        }
    }
    Ok(split)
}
