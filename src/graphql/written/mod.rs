//! Objects and lists whose fields are written as JSON at once.
//!
//! The library resolves each field in a boxed future of its own, collects the values of an object in a map, and
//! serialises the maps at the end. For a page of 100 rows that is most of the work. [`Written`] and [`Rows`] plan a
//! selection once, with everything below it, and write the fields of all rows into one buffer. The buffer travels as
//! [`Value::Binary`], which [`super::json`] writes out as it is.
//!
//! [`Fields`] says how each field of a type is written. Where it says nothing, the library's own
//! [`ContainerType::resolve_field`](async_graphql::ContainerType::resolve_field) resolves the field, so that arguments are the library's own.
//!
//! Errors, paths and nulls are as the library makes them. The library merges equal response keys after it has
//! resolved them, which cannot be done with text. A plan merges them before; for the few selections that the library
//! itself plans, see [`Unmerged`].

use std::borrow::Cow;
use std::ops::Deref;
use std::pin::Pin;

use async_graphql::parser::types::Field;
use async_graphql::registry::Registry;
use async_graphql::resolver_utils::{resolve_container, resolve_list};
use async_graphql::{ContextSelectionSet, OutputType, Positioned, ServerResult, Value};

mod plan;
mod reads;
mod related;
mod value;

pub use graphql_fields::{Fields, fields};
pub use plan::{Fields, Plan, Selected, Way, Writing};
pub use reads::{ReadFields, Reads};
pub use related::{Related, related};
pub use value::WriteJson;

/// Data of a request whose document selects one response key of a composite type twice where the library plans the
/// selection. Everything is then resolved the library's way.
pub struct Unmerged;

/// An object that is written as JSON.
#[derive(Clone)]
pub struct Written<T>(pub T);

impl<T: Fields> OutputType for Written<T> {
    fn type_name() -> Cow<'static, str> {
        T::type_name()
    }

    fn create_type_info(registry: &mut Registry) -> String {
        T::create_type_info(registry)
    }

    async fn resolve(&self, ctx: &ContextSelectionSet<'_>, _: &Positioned<Field>) -> ServerResult<Value> {
        resolve_object(&self.0, ctx).await
    }
}

/// A list of objects that is written as JSON.
pub struct Rows<S>(pub S);

impl<S, T> OutputType for Rows<S>
where
    S: Deref<Target = [T]> + Send + Sync,
    T: Fields,
{
    fn type_name() -> Cow<'static, str> {
        <Vec<T> as OutputType>::type_name()
    }

    fn qualified_type_name() -> String {
        <Vec<T> as OutputType>::qualified_type_name()
    }

    fn create_type_info(registry: &mut Registry) -> String {
        <Vec<T> as OutputType>::create_type_info(registry)
    }

    async fn resolve(&self, ctx: &ContextSelectionSet<'_>, field: &Positioned<Field>) -> ServerResult<Value> {
        resolve_rows(&self.0, ctx, field).await
    }
}

impl<T: Fields> Related for Written<T> {
    fn plan<'a>(selected: Selected<'_, 'a>) -> Option<Plan<'a>> {
        selected.plan::<T>()
    }

    async fn write(&self, plan: &Plan<'_>, ctx: &ContextSelectionSet<'_>, text: &mut Vec<u8>) -> ServerResult<()> {
        plan.write(&self.0, ctx, true, text).await
    }
}

impl<S, T> Related for Rows<S>
where
    S: Deref<Target = [T]> + Send + Sync,
    T: Fields,
{
    fn plan<'a>(selected: Selected<'_, 'a>) -> Option<Plan<'a>> {
        selected.plan::<T>()
    }

    async fn write(&self, plan: &Plan<'_>, ctx: &ContextSelectionSet<'_>, text: &mut Vec<u8>) -> ServerResult<()> {
        plan.write_rows(&self.0, ctx, text).await
    }
}

type Resolving<'a> = Pin<Box<dyn Future<Output = ServerResult<Value>> + Send + 'a>>;

fn resolve_object<'a, T: Fields>(object: &'a T, ctx: &'a ContextSelectionSet<'a>) -> Resolving<'a> {
    // Types refer to each other, so that their futures would have no size.
    Box::pin(async move {
        if ctx.data_opt::<Unmerged>().is_some() {
            return resolve_container(ctx, object).await;
        }
        let mut text = Vec::new();
        Plan::new::<T>(ctx)?.write(object, ctx, true, &mut text).await?;
        Ok(Value::Binary(text.into()))
    })
}

fn resolve_rows<'a, T: Fields>(
    rows: &'a [T],
    ctx: &'a ContextSelectionSet<'a>,
    field: &'a Positioned<Field>,
) -> Resolving<'a> {
    Box::pin(async move {
        if ctx.data_opt::<Unmerged>().is_some() {
            return resolve_list(ctx, field, rows, Some(rows.len())).await;
        }
        let mut text = Vec::new();
        Plan::new::<T>(ctx)?.write_rows(rows, ctx, &mut text).await?;
        Ok(Value::Binary(text.into()))
    })
}
