//! Objects and lists that are read for a field, and then written with a plan that was made before.

use async_graphql::{Context, ContextSelectionSet, Error, ServerResult};

use super::plan::{Plan, Selected};

/// What a field refers to.
pub trait Related: Send + Sync {
    /// `None` if the library must resolve the field.
    fn plan<'a>(selected: Selected<'_, 'a>) -> Option<Plan<'a>>;

    fn write(
        &self,
        plan: &Plan<'_>,
        ctx: &ContextSelectionSet<'_>,
        text: &mut Vec<u8>,
    ) -> impl Future<Output = ServerResult<()>> + Send;
}

/// An error below leaves null.
impl<R: Related> Related for Option<R> {
    fn plan<'a>(selected: Selected<'_, 'a>) -> Option<Plan<'a>> {
        R::plan(selected)
    }

    async fn write(&self, plan: &Plan<'_>, ctx: &ContextSelectionSet<'_>, text: &mut Vec<u8>) -> ServerResult<()> {
        let begun = text.len();
        if let Some(value) = self {
            match value.write(plan, ctx, text).await {
                Ok(()) => return Ok(()),
                Err(error) => ctx.add_error(error),
            }
        }
        text.truncate(begun);
        text.extend_from_slice(b"null");
        Ok(())
    }
}

/// Reads and writes a field.
pub async fn related<R, E>(
    read: impl Future<Output = Result<R, E>> + Send,
    ctx: &Context<'_>,
    plan: &Plan<'_>,
    text: &mut Vec<u8>,
) -> ServerResult<()>
where
    R: Related,
    E: Into<Error> + Send,
{
    let read = read.await.map_err(|error| {
        let error: Error = error.into();
        ctx.set_error_path(error.into_server_error(ctx.item.pos))
    })?;
    read.write(plan, &ctx.with_selection_set(&ctx.item.node.selection_set), text).await
}
