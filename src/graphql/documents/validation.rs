//! Spares documents that are known to be valid the schema's validation, refuses those that their caller may not execute,
//! and lets callers pay for what is executed: their price is known from then on.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_graphql::extensions::{Extension, ExtensionContext, ExtensionFactory, NextExecute, NextValidation};
use async_graphql::{Response, ServerError, ValidationResult};
use async_trait::async_trait;

use super::Checked;
use crate::auth::Caller;
use crate::graphql::access::Needs;
use crate::graphql::audited::Trail;
use crate::graphql::budget::Budget;
use crate::graphql::error::{ApiError, Code, error};
use crate::graphql::guard::MAX_COMPLEXITY;
use crate::graphql::subscription::step::Step;

/// The highest price of a subscription, which is to be paid for each event.
const MAX_EVENT_COMPLEXITY: usize = 2_000;

const NO_CALLER: &str = "The operation has no caller.";

/// The schema's extension that does so.
pub struct KnownDocuments;

impl ExtensionFactory for KnownDocuments {
    fn create(&self) -> Arc<dyn Extension> {
        Arc::new(Priced(AtomicUsize::new(0)))
    }
}

/// One execution and its price, which is known after the validation.
struct Priced(AtomicUsize);

#[async_trait]
impl Extension for Priced {
    async fn validation(
        &self,
        ctx: &ExtensionContext<'_>,
        next: NextValidation<'_>,
    ) -> Result<ValidationResult, Vec<ServerError>> {
        let Some(Checked { document, operation, shape, documents }) = ctx.data_opt() else {
            return next.run(ctx).await;
        };
        let known = shape.as_ref().and_then(|shape| document.verdicts.find(shape));
        let result = if let Some(result) = known {
            result
        } else {
            let result = next.run(ctx).await.map_err(limited)?;
            if let Some(shape) = shape {
                document.verdicts.keep(shape, result);
            }
            documents.keep(document);
            result
        };
        let needs = document.needs.get_or_init(|| Needs::of(&document.parsed, &ctx.schema_env.registry));
        let caller =
            ctx.data_opt::<Caller>().ok_or(ApiError::Forbidden(NO_CALLER)).map_err(|refusal| vec![refusal.into()])?;
        needs.check(caller, operation.as_deref()).map_err(|refusal| vec![refusal])?;
        charge(ctx, result.complexity).map_err(|refusal| vec![refusal])?;
        self.0.store(result.complexity, Ordering::Relaxed);
        Ok(result)
    }

    async fn execute(
        &self,
        ctx: &ExtensionContext<'_>,
        operation_name: Option<&str>,
        next: NextExecute<'_>,
    ) -> Response {
        let _share = match ctx.data_opt::<Budget>() {
            Some(budget) => Some(budget.share(self.0.load(Ordering::Relaxed)).await),
            None => None,
        };
        next.run(ctx, operation_name).await
    }
}

/// Gives the library's refusal of what is too dear its code. What is too deep is refused before, by the guard.
fn limited(errors: Vec<ServerError>) -> Vec<ServerError> {
    let limited = |refusal: ServerError| match refusal.message.as_str() {
        "Query is too complex." => {
            error(Code::TooComplex, format!("The operation costs more than {MAX_COMPLEXITY}; ask for less."))
        }
        _ => refusal,
    };
    errors.into_iter().map(limited).collect()
}

/// Lets the caller's token pay for an execution.
fn charge(ctx: &ExtensionContext<'_>, price: usize) -> Result<(), ServerError> {
    let (budget, step) = (ctx.data_opt::<Budget>(), ctx.data_opt::<Step>());
    if step.is_some() && price > MAX_EVENT_COMPLEXITY {
        let message = format!(
            "A subscription may cost {MAX_EVENT_COMPLEXITY} for each event. This one costs {price}; select less."
        );
        return Err(error(Code::TooComplex, message));
    }
    match (budget, step) {
        (Some(budget), None | Some(Step::CreateSource(_))) => {
            // They go to any address, so they have a limit of their own.
            budget.test_mails(ctx.data_opt::<Trail>().map_or(0, |trail| trail.count("sendTestMail")))?;
            Ok(budget.spend(price)?)
        }
        (Some(budget), Some(_)) => {
            budget.owe(price);
            Ok(())
        }
        (None, _) => Ok(()),
    }
}
