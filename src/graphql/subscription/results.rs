//! What a subscriber receives.

use std::sync::Arc;

use bytes::Bytes;

use super::turns::Turn;

/// One result of an operation.
#[derive(Clone, Debug)]
pub struct ExecutionResult {
    /// The GraphQL response.
    pub json: Bytes,
    /// Where to resume after it. Only changes of instances have one.
    pub cursor: Option<Arc<str>>,
}

/// Some results of an operation, in order.
#[derive(Debug)]
pub struct Batch {
    pub results: Vec<ExecutionResult>,
    /// To be held until the results are written.
    pub turn: Option<Turn>,
}

impl From<ExecutionResult> for Batch {
    fn from(result: ExecutionResult) -> Self {
        Self { results: vec![result], turn: None }
    }
}
