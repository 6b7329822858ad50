//! The guard in front of every door.
//!
//! It promises that whatever is executed has been weighed first, in time and
//! memory that are bounded by the size of the text: an [`Operation`] can be
//! made in no other way than by [`vet`], and nothing else is ever executed.
//! First the bytes are scanned (size, tokens, brackets), since the parser
//! recurses; then the text is parsed; then each fragment is weighed once, so
//! that a document of a few hundred bytes that would expand to billions of
//! fields is refused as fast as any other. The schema's own checks expand
//! fragments at each spread and would be the target, so they come after.
//!
//! It does not know the schema: unknown fields, wrong types and the price of
//! lists are the schema's part. Where the schema's validation leaves a rule of
//! the specification out, the guard has it (see `rules`).
//!
//! It keeps no state; there is nothing to cut in the middle.

mod cost;
mod optional_variables;
mod rules;
mod scan;

use std::any::Any;
use std::fmt;

use async_graphql::{
    Pos, Request, ServerError, Variables,
    parser::{
        self, parse_query,
        types::{DocumentOperations, ExecutableDocument, OperationDefinition, OperationType},
    },
};

use self::{
    cost::{Cost, Cycle, Scales},
    scan::Flaw,
};
use crate::graphql::transport::params::Params;
use crate::graphql::transport::responses::{Code, error};

/// The longest document, in bytes.
pub const MAX_DOCUMENT_BYTES: usize = 32 * 1024;
/// The most lexical tokens in a document.
pub const MAX_TOKENS: usize = 2_000;
/// The most brackets of any kind that are open at once.
pub const MAX_NESTING: usize = 32;
/// The most operations and fragments in a document, together.
pub const MAX_DEFINITIONS: usize = 10;
/// The most variables that an operation declares.
pub const MAX_VARIABLES: usize = 50;
/// The most selections in a document with all fragments expanded.
pub const MAX_SELECTIONS: u32 = 2_000;
/// The most levels of fields. The standard introspection query has fifteen.
pub const MAX_DEPTH: u32 = 15;
/// The most aliases in a document with all fragments expanded.
pub const MAX_ALIASES: u32 = 50;
/// The most directives in a document with all fragments expanded.
pub const MAX_DIRECTIVES: u32 = 50;
/// The most uses of `__schema` and `__type` in a document.
pub const MAX_INTROSPECTIONS: u32 = 5;
/// The most levels of `fields`, `inputFields`, `interfaces` and `possibleTypes` in one
/// introspection. The standard introspection query has one; each more squares the answer.
pub const MAX_INTROSPECTION_CIRCLES: u32 = 2;

/// An operation that may be executed.
pub struct Operation {
    request: Request,
    kind: OperationType,
}

impl Operation {
    /// Whether it is a query, a mutation or a subscription.
    pub fn kind(&self) -> OperationType {
        self.kind
    }

    /// The document as the client sent it.
    pub fn query(&self) -> &str {
        &self.request.query
    }

    /// The operation's name as the client asked for it; none if it left the choice to us.
    pub fn operation_name(&self) -> Option<&str> {
        self.request.operation_name.as_deref()
    }

    /// The variables as the client sent them.
    pub fn variables(&self) -> &Variables {
        &self.request.variables
    }

    /// Gives the resolvers something to work with that is of this request alone.
    #[must_use]
    pub fn with<D: Any + Send + Sync>(self, data: D) -> Self {
        Self { request: self.request.data(data), ..self }
    }

    /// The request to execute, already parsed.
    pub fn into_request(self) -> Request {
        self.request
    }
}

/// Shows no text and no variables: they may hold credentials.
impl fmt::Debug for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Operation").field("kind", &self.kind).finish_non_exhaustive()
    }
}

/// Judges what a client asks for. With `introspection` false, `__schema` and `__type` are refused
/// wherever they stand; `__typename` never is.
///
/// # Errors
///
/// One GraphQL error with a code. It names the limit or the place, and repeats nothing of the
/// document but perhaps a variable's name.
pub fn vet(params: Params, introspection: bool) -> Result<Operation, ServerError> {
    if params.query.len() > MAX_DOCUMENT_BYTES {
        return Err(beyond("bytes", MAX_DOCUMENT_BYTES));
    }
    scan::check(&params.query).map_err(|flaw| match flaw {
        Flaw::TooManyTokens => beyond("tokens", MAX_TOKENS),
        Flaw::NestedTooDeeply => beyond("nested brackets", MAX_NESTING),
        Flaw::UnterminatedString => error(Code::ParseFailed, "Syntax error: a string is not terminated."),
    })?;
    let document = parse_query(&params.query).map_err(syntax_error)?;
    check_size(&document)?;
    check_cost(&document, introspection)?;
    let operation = select(&document, params.operation_name.as_deref())?;
    rules::check(&document, operation, &params.variables)?;
    let kind = operation.ty;
    let mut variables = params.variables;
    optional_variables::fill(&document, &mut variables);
    let mut request = Request::new(params.query).variables(variables);
    request.operation_name = params.operation_name;
    request.set_parsed_query(document);
    Ok(Operation { request, kind })
}

fn beyond(what: &str, limit: impl fmt::Display) -> ServerError {
    error(Code::TooComplex, &format!("The document has more than {limit} {what}; ask for less in one request."))
}

fn invalid(message: &str) -> ServerError {
    error(Code::ValidationFailed, message)
}

/// The parser's own message quotes the line at fault, and that may be the whole document.
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
        parser::Error::MissingOperation => "The document holds no operation.".to_owned(),
        _ => "The document cannot be parsed.".to_owned(),
    };
    let mut refusal = error(Code::ParseFailed, &message);
    refusal.locations = locations;
    refusal
}

fn check_size(document: &ExecutableDocument) -> Result<(), ServerError> {
    if document.operations.iter().len() + document.fragments.len() > MAX_DEFINITIONS {
        return Err(beyond("operations and fragments", MAX_DEFINITIONS));
    }
    for (_, operation) in document.operations.iter() {
        if operation.node.variable_definitions.len() > MAX_VARIABLES {
            return Err(beyond("variables", MAX_VARIABLES));
        }
    }
    Ok(())
}

fn check_cost(document: &ExecutableDocument, introspection: bool) -> Result<(), ServerError> {
    let cyclic = |_: Cycle| invalid("A fragment contains itself.");
    let mut scales = Scales::new(document);
    let costs: [Cost; 2] = [scales.operations().map_err(cyclic)?, scales.dearest_fragment().map_err(cyclic)?];
    for cost in costs {
        if cost.introspections > 0 && !introspection {
            return Err(error(Code::IntrospectionDisabled, "Introspection is not available here."));
        }
        let limits = [
            (cost.selections, MAX_SELECTIONS, "selections"),
            (cost.aliases, MAX_ALIASES, "aliases"),
            (cost.directives, MAX_DIRECTIVES, "directives"),
            (cost.depth, MAX_DEPTH, "levels of fields"),
            (cost.introspections, MAX_INTROSPECTIONS, "introspections"),
            (cost.introspection_circles, MAX_INTROSPECTION_CIRCLES, "levels of introspected lists"),
        ];
        if let Some((_, limit, what)) = limits.into_iter().find(|(is, limit, _)| is > limit) {
            return Err(beyond(what, limit));
        }
    }
    Ok(())
}

fn select<'a>(document: &'a ExecutableDocument, name: Option<&str>) -> Result<&'a OperationDefinition, ServerError> {
    let chosen = match (&document.operations, name) {
        (DocumentOperations::Single(only), None) => Some(only),
        (DocumentOperations::Single(_), Some(_)) => None,
        (DocumentOperations::Multiple(all), Some(name)) => all.get(name),
        (DocumentOperations::Multiple(all), None) if all.len() == 1 => all.values().next(),
        (DocumentOperations::Multiple(_), None) => {
            return Err(error(
                Code::OperationUnresolved,
                "The document holds several operations: operationName must name one.",
            ));
        }
    };
    chosen
        .map(|operation| &operation.node)
        .ok_or_else(|| error(Code::OperationUnresolved, "The document holds no operation of that operationName."))
}

#[cfg(test)]
mod tests;
