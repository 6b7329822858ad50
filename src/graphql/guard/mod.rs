//! Checks the size and cost of a document before it is executed.
//!
//! Nothing is executed that was not checked: [`Guard::check`] is the only way to make an [`Operation`]. Time
//! and memory of the checks are bounded by the length of the text. First the bytes are scanned (length,
//! tokens, brackets), because the parser recurses. Then the text is parsed. Then the cost of each
//! fragment is computed once, so that a document of a few hundred bytes that would expand to billions of
//! fields is refused as fast as any other. The schema's own checks expand fragments at each spread
//! and could be attacked with such a document. They therefore come last.
//!
//! The guard does not know the schema. Unknown fields, wrong types and the price of lists are checked by the
//! schema. The guard also checks the rules of the specification that the schema's validation leaves out (see
//! `rules`). What it finds is kept for the next request with the same document, see [`super::documents`].

mod cost;
mod merging;
mod optional_variables;
pub mod persisted;
mod root_fields;
mod rules;
pub mod scan;

use std::any::Any;
use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use async_graphql::parser::types::{DocumentOperations, ExecutableDocument, OperationDefinition, OperationType};
use async_graphql::parser::{self, parse_query};
use async_graphql::{Name, Pos, Request, ServerError};
use async_graphql_value::ConstValue;

use self::cost::{CostAnalysis, Cycle};
use self::persisted::Claim;
pub use self::root_fields::RootField;
use self::root_fields::root_fields;
use self::scan::{MAX_NESTING, MAX_TOKENS, ScanError};
use super::budget::Budget;
use super::documents::{Checked, Document, Documents, Hash, QueryKey, hash};
use super::error::{Code, error};
use super::written::Unmerged;
use crate::auth::ClientAddress;

/// The longest document, in bytes.
const MAX_DOCUMENT_BYTES: usize = 32 * 1024;
/// The most operations and fragments in a document, together.
const MAX_DEFINITIONS: usize = 10;
/// The most variables that an operation declares.
const MAX_VARIABLES: usize = 50;
/// The most selections in a document with all fragments expanded.
const MAX_SELECTIONS: u32 = 2_000;
/// The most levels of fields. The standard introspection query has exactly this many.
pub const MAX_DEPTH: u32 = 15;
/// The highest price of a document: a field costs 1, a list what [`page`](super::page) says. The dearest costs about half
/// a second of CPU.
pub const MAX_COMPLEXITY: usize = 20_000;
/// The most aliases in a document with all fragments expanded.
const MAX_ALIASES: u32 = 50;
/// The most directives in a document with all fragments expanded.
const MAX_DIRECTIVES: u32 = 50;
/// The most uses of `__schema` and `__type` in a document.
const MAX_INTROSPECTIONS: u32 = 5;
/// The most levels of `fields`, `inputFields`, `interfaces` and `possibleTypes` in one
/// introspection. The standard introspection query has one; each further level squares the result.
const MAX_INTROSPECTION_CYCLES: u32 = 2;

/// An operation that may be executed.
pub struct Operation {
    request: Request,
    checked: Checked,
    kind: OperationType,
    name: Option<Name>,
    budget: Budget,
    address: Option<IpAddr>,
}

impl Operation {
    /// Whether it is a query, a mutation or a subscription.
    pub fn kind(&self) -> OperationType {
        self.kind
    }

    /// Its name in the document.
    pub fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    /// Gives resolvers data that belongs to this request alone.
    #[must_use]
    pub fn with_data<D: Any + Send + Sync>(self, data: D) -> Self {
        Self { request: self.request.data(data), ..self }
    }

    /// Lets it use only what its caller's token may use.
    #[must_use]
    pub fn within(self, budget: Budget) -> Self {
        Self { budget: budget.clone(), ..self.with_data(budget) }
    }

    /// What it may use. An operation that was not put [`within`](Self::within) a budget has no limit.
    pub fn budget(&self) -> &Budget {
        &self.budget
    }

    /// Notes the address that it comes from.
    #[must_use]
    pub fn from(self, address: Option<ClientAddress>) -> Self {
        Self { address: address.map(|ClientAddress(address)| address), ..self }
    }

    pub fn address(&self) -> Option<IpAddr> {
        self.address
    }

    /// Its fields at the root.
    pub fn root_fields(&self) -> Vec<RootField> {
        let parsed = &self.checked.document.parsed;
        match select(parsed, self.request.operation_name.as_deref()) {
            Ok((_, operation)) => root_fields(parsed, &operation.selection_set.node, &self.request.variables),
            Err(_) => Vec::new(),
        }
    }

    /// Its document.
    pub fn checked(&self) -> &Checked {
        &self.checked
    }

    /// Identifies what is asked: the document, the operation and the values of the variables.
    pub fn key(&self) -> QueryKey {
        self.checked.document.key(self.request.operation_name.as_deref(), &self.request.variables)
    }

    /// The request to execute, already parsed.
    pub fn into_request(self) -> Request {
        self.request
    }
}

/// Omits the document and the variables, which may contain credentials.
impl fmt::Debug for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Operation").field("kind", &self.kind).finish_non_exhaustive()
    }
}

/// Checks requests.
pub struct Guard {
    documents: Arc<Documents>,
    introspection: bool,
}

impl Guard {
    /// Without `introspection`, every use of `__schema` and `__type` is refused; `__typename` is always allowed.
    pub fn new(introspection: bool) -> Self {
        Self { documents: Arc::default(), introspection }
    }

    /// Makes an operation of a request that passes all checks.
    ///
    /// # Errors
    ///
    /// One GraphQL error with a code. It names the limit or the position, and quotes nothing of the
    /// document except, in one case, the name of a variable.
    pub fn check(&self, request: Request) -> Result<Operation, ServerError> {
        let Request { query, operation_name, mut variables, extensions, .. } = request;
        let claimed = persisted::claim(&extensions)?;
        let (document, known) = self.document(&query, claimed)?;
        let parsed = &document.parsed;
        let (name, operation) = select(parsed, operation_name.as_deref())?;
        if !known {
            rules::check_typenames(parsed)?;
        }
        rules::check(parsed, operation, &variables)?;
        let (kind, name) = (operation.ty, name.cloned());
        let left_to_library = merging::is_left_to_library(parsed, operation);
        for name in &document.nullable {
            variables.entry(name.clone()).or_insert(ConstValue::Null);
        }
        let checked = Checked::new(document, self.documents.clone(), operation_name.as_deref(), &variables);
        let mut request = checked.request(operation_name, variables);
        if left_to_library {
            request = request.data(Unmerged);
        }
        Ok(Operation { request, checked, kind, name, budget: Budget::default(), address: None })
    }

    /// The document with this text, or that of a persisted query, and whether it is a known one.
    fn document(&self, text: &str, claimed: Option<Claim<'_>>) -> Result<(Arc<Document>, bool), ServerError> {
        if text.len() > MAX_DOCUMENT_BYTES {
            return Err(limit_exceeded("bytes", MAX_DOCUMENT_BYTES));
        }
        let hash = match claimed {
            Some(claim) if text.is_empty() => {
                let found = claim.hash().and_then(|hash| self.documents.find(&hash));
                return found.map(|document| (document, true)).ok_or_else(persisted::not_found);
            }
            Some(claim) => claim.check(hash(text))?,
            None => hash(text),
        };
        match self.documents.find(&hash) {
            Some(document) => Ok((document, true)),
            None => Ok((Arc::new(self.parse(text, hash)?), false)),
        }
    }

    fn parse(&self, text: &str, hash: Hash) -> Result<Document, ServerError> {
        scan::check(text).map_err(|error| match error {
            ScanError::TooManyTokens => limit_exceeded("tokens", MAX_TOKENS),
            ScanError::NestedTooDeeply => limit_exceeded("nested brackets", MAX_NESTING),
            ScanError::UnterminatedString => parse_error("Syntax error: a string is not terminated."),
        })?;
        let parsed = parse_query(text).map_err(syntax_error)?;
        check_size(&parsed)?;
        check_cost(&parsed, self.introspection)?;
        let nullable = optional_variables::of(&parsed);
        Ok(Document::new(text, hash, parsed, nullable))
    }
}

fn limit_exceeded(what: &str, limit: impl fmt::Display) -> ServerError {
    error(Code::TooComplex, format!("The document has more than {limit} {what}; ask for less in one request."))
}

fn parse_error(message: impl Into<String>) -> ServerError {
    error(Code::ParseFailed, message)
}

/// The parser's own message quotes the faulty line, which may be the whole document.
fn syntax_error(fault: parser::Error) -> ServerError {
    let locations: Vec<Pos> = fault.positions().collect();
    let message = match fault {
        parser::Error::Syntax { message, .. } => match message.lines().last().and_then(|line| line.split_once("= ")) {
            Some((_, expectation)) => format!("Syntax error: {expectation}."),
            None => "Syntax error.".to_owned(),
        },
        parser::Error::MultipleOperations { .. } => {
            "An operation without a name must be the only one in its document.".to_owned()
        }
        parser::Error::OperationDuplicated { .. } => "Two operations have the same name.".to_owned(),
        parser::Error::FragmentDuplicated { .. } => "Two fragments have the same name.".to_owned(),
        parser::Error::MissingOperation => "The document contains no operation.".to_owned(),
        _ => "The document cannot be parsed.".to_owned(),
    };
    let mut error = parse_error(message);
    error.locations = locations;
    error
}

fn check_size(document: &ExecutableDocument) -> Result<(), ServerError> {
    if document.operations.iter().len() + document.fragments.len() > MAX_DEFINITIONS {
        return Err(limit_exceeded("operations and fragments", MAX_DEFINITIONS));
    }
    for (_, operation) in document.operations.iter() {
        if operation.node.variable_definitions.len() > MAX_VARIABLES {
            return Err(limit_exceeded("variables", MAX_VARIABLES));
        }
    }
    Ok(())
}

fn check_cost(document: &ExecutableDocument, introspection: bool) -> Result<(), ServerError> {
    let cyclic = |_: Cycle| error(Code::ValidationFailed, "A fragment contains itself.");
    let mut analysis = CostAnalysis::new(document);
    for cost in [analysis.operations().map_err(cyclic)?, analysis.largest_fragment().map_err(cyclic)?] {
        if cost.introspections > 0 && !introspection {
            return Err(error(Code::IntrospectionDisabled, "Introspection is not available here."));
        }
        let limits = [
            (cost.selections, MAX_SELECTIONS, "selections"),
            (cost.aliases, MAX_ALIASES, "aliases"),
            (cost.directives, MAX_DIRECTIVES, "directives"),
            (cost.depth, MAX_DEPTH, "levels of fields"),
            (cost.introspections, MAX_INTROSPECTIONS, "introspections"),
            (cost.introspection_cycles, MAX_INTROSPECTION_CYCLES, "levels of introspected lists"),
        ];
        if let Some((_, limit, what)) = limits.into_iter().find(|(cost, limit, _)| cost > limit) {
            return Err(limit_exceeded(what, limit));
        }
    }
    Ok(())
}

/// The operation to execute, with its name.
fn select<'a>(
    document: &'a ExecutableDocument,
    name: Option<&str>,
) -> Result<(Option<&'a Name>, &'a OperationDefinition), ServerError> {
    let selected = match (&document.operations, name) {
        (DocumentOperations::Single(only), None) => Some((None, only)),
        (DocumentOperations::Single(_), Some(_)) => None,
        (DocumentOperations::Multiple(all), Some(name)) => all.get_key_value(name).map(|(name, it)| (Some(name), it)),
        (DocumentOperations::Multiple(all), None) if all.len() == 1 => {
            all.iter().next().map(|(name, it)| (Some(name), it))
        }
        (DocumentOperations::Multiple(_), None) => {
            return Err(error(
                Code::OperationUnresolved,
                "The document has several operations: operationName must name one.",
            ));
        }
    };
    selected
        .map(|(name, operation)| (name, &operation.node))
        .ok_or_else(|| error(Code::OperationUnresolved, "The document has no operation of that operationName."))
}

#[cfg(test)]
mod tests;
