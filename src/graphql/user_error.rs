//! Refusals that a caller can act on.

use async_graphql::SimpleObject;

use crate::error::{Refusal, RefusalCode};

/// A refusal that the caller can act on. Nothing was changed.
#[derive(SimpleObject)]
pub struct UserError {
    /// What is wrong, for a program.
    code: RefusalCode,
    /// What is wrong, for a person.
    message: String,
    /// The path of the input field at fault, from the top of the input: `["config", "token"]`. Null when it is no single one.
    field: Option<Vec<String>>,
}

/// Refusals as a payload shows them.
pub fn user_errors(refusals: Vec<Refusal>) -> Vec<UserError> {
    refusals
        .into_iter()
        .map(|Refusal { code, message, field }| UserError {
            code,
            message,
            field: (!field.is_empty()).then_some(field),
        })
        .collect()
}
