//! Objects and lists whose fields are written as JSON at once.
//!
//! The library resolves each field in a boxed future of its own, collects the values of an object in a map, and
//! serialises the maps at the end. For a page of 100 rows that is most of the work. [`Written`] and [`Rows`] plan a
//! selection once, resolve the fields of each row by the library's own [`ContainerType::resolve_field`], and write them
//! into one buffer. The buffer travels as [`Value::Binary`], which [`super::json`] writes out as it is.
//!
//! Arguments, errors, paths and nulls are the library's own. The library merges equal response keys after it has
//! resolved them, which cannot be done with text. A plan merges them before; for the few selections that the library
//! itself plans, see [`Unmerged`].

use std::ops::Deref;
use std::pin::Pin;

use async_graphql::parser::types::{Field, Selection, SelectionSet};
use async_graphql::registry::Registry;
use async_graphql::resolver_utils::{resolve_container, resolve_list};
use async_graphql::{ContainerType, ContextSelectionSet, OutputType, Positioned, ServerError, ServerResult, Value};
use futures_util::future::try_join_all;

use super::json;

/// Data of a request whose document selects one response key of a composite type twice where the library plans the
/// selection. Everything is then resolved the library's way.
pub struct Unmerged;

/// An object that is written as JSON.
#[derive(Clone)]
pub struct Written<T>(pub T);

impl<T: ContainerType + Send + Sync> OutputType for Written<T> {
    fn type_name() -> std::borrow::Cow<'static, str> {
        T::type_name()
    }

    fn create_type_info(registry: &mut Registry) -> String {
        T::create_type_info(registry)
    }

    async fn resolve(&self, ctx: &ContextSelectionSet<'_>, _: &Positioned<Field>) -> ServerResult<Value> {
        write_object(&self.0, ctx).await
    }
}

/// A list of objects that is written as JSON.
pub struct Rows<S>(pub S);

impl<S, T> OutputType for Rows<S>
where
    S: Deref<Target = [T]> + Send + Sync,
    T: ContainerType + Send + Sync,
{
    fn type_name() -> std::borrow::Cow<'static, str> {
        <Vec<T> as OutputType>::type_name()
    }

    fn qualified_type_name() -> String {
        <Vec<T> as OutputType>::qualified_type_name()
    }

    fn create_type_info(registry: &mut Registry) -> String {
        <Vec<T> as OutputType>::create_type_info(registry)
    }

    async fn resolve(&self, ctx: &ContextSelectionSet<'_>, field: &Positioned<Field>) -> ServerResult<Value> {
        write_list(&self.0, ctx, field).await
    }
}

type Resolving<'a> = Pin<Box<dyn Future<Output = ServerResult<Value>> + Send + 'a>>;

fn write_object<'a, T>(object: &'a T, ctx: &'a ContextSelectionSet<'a>) -> Resolving<'a>
where
    T: ContainerType + Send + Sync,
{
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

fn write_list<'a, T>(rows: &'a [T], ctx: &'a ContextSelectionSet<'a>, field: &'a Positioned<Field>) -> Resolving<'a>
where
    T: ContainerType + Send + Sync,
{
    Box::pin(async move {
        if ctx.data_opt::<Unmerged>().is_some() {
            return resolve_list(ctx, field, rows, Some(rows.len())).await;
        }
        let plan = Plan::new::<T>(ctx)?;
        let mut text = Vec::with_capacity(rows.len() * plan.fields.len() * 32);
        text.push(b'[');
        for (index, row) in rows.iter().enumerate() {
            if index > 0 {
                text.push(b',');
            }
            let ctx = ctx.with_index(index);
            let written = plan.write(row, &ctx, index == 0, &mut text).await;
            written.map_err(|error| ctx.set_error_path(error))?;
        }
        text.push(b']');
        Ok(Value::Binary(text.into()))
    })
}

/// The fields that are selected of a type, each response key once.
struct Plan<'a> {
    fields: Vec<PlannedField<'a>>,
}

struct PlannedField<'a> {
    key: &'a str,
    field: FieldOf<'a>,
}

enum FieldOf<'a> {
    TypeName,
    Selected(&'a Positioned<Field>),
    /// Selected several times, with what is selected of it together.
    Merged(Box<Positioned<Field>>),
}

impl FieldOf<'_> {
    fn selected(&self) -> Option<&Positioned<Field>> {
        match self {
            Self::TypeName => None,
            Self::Selected(field) => Some(field),
            Self::Merged(field) => Some(field),
        }
    }
}

impl<'a> Plan<'a> {
    fn new<T: ContainerType>(ctx: &ContextSelectionSet<'a>) -> ServerResult<Self> {
        let mut plan = Self { fields: Vec::new() };
        plan.add::<T>(ctx, &ctx.item.node).map_err(|error| ctx.set_error_path(error))?;
        Ok(plan)
    }

    /// Flattens fragments. `T` is an object type, so it is known which of them apply.
    fn add<T: ContainerType>(&mut self, ctx: &ContextSelectionSet<'a>, set: &'a SelectionSet) -> ServerResult<()> {
        for selection in &set.items {
            let (condition, set) = match &selection.node {
                Selection::Field(field) => {
                    self.add_field(field)?;
                    continue;
                }
                Selection::InlineFragment(inline) => (inline.node.type_condition.as_ref(), &inline.node.selection_set),
                Selection::FragmentSpread(spread) => {
                    // Validation refuses unknown fragments.
                    let Some(fragment) = ctx.query_env.fragments.get(&spread.node.fragment_name.node) else { continue };
                    (Some(&fragment.node.type_condition), &fragment.node.selection_set)
                }
            };
            let applies = condition.is_none_or(|condition| {
                let (condition, name) = (condition.node.on.node.as_str(), T::type_name());
                let types = &ctx.schema_env.registry;
                name == condition || types.implements.get(&*name).is_some_and(|names| names.contains(condition))
            });
            if applies {
                self.add::<T>(ctx, &set.node)?;
            }
        }
        Ok(())
    }

    fn add_field(&mut self, field: &'a Positioned<Field>) -> ServerResult<()> {
        let key = field.node.response_key().node.as_str();
        let Some(known) = self.fields.iter_mut().find(|known| known.key == key) else {
            let is_type_name = field.node.name.node == "__typename";
            let field = if is_type_name { FieldOf::TypeName } else { FieldOf::Selected(field) };
            self.fields.push(PlannedField { key, field });
            return Ok(());
        };
        let first = known.field.selected().map(|first| (&first.node.name.node, &first.node.arguments));
        if first.is_some_and(|first| first != (&field.node.name.node, &field.node.arguments)) {
            // The library's validation finds most of these, but not all.
            let message = format!("Fields \"{key}\" conflict. Use different aliases to fetch both.");
            return Err(ServerError::new(message, Some(field.pos)));
        }
        let more = &field.node.selection_set.node.items;
        if more.is_empty() {
            return Ok(());
        }
        if let FieldOf::Selected(first) = known.field {
            known.field = FieldOf::Merged(Box::new(first.clone()));
        }
        if let FieldOf::Merged(merged) = &mut known.field {
            merged.node.selection_set.node.items.extend(more.iter().cloned());
        }
        Ok(())
    }

    /// Writes the fields of one row. What the first row of a list refers to is read concurrently, and with it what the
    /// others refer to.
    async fn write<T: ContainerType + Send + Sync>(
        &self,
        row: &T,
        ctx: &ContextSelectionSet<'_>,
        first: bool,
        text: &mut Vec<u8>,
    ) -> ServerResult<()> {
        let mut referred = if first { self.resolve_composites(row, ctx).await? } else { Vec::new() }.into_iter();
        text.push(b'{');
        for (index, PlannedField { key, field }) in self.fields.iter().enumerate() {
            if index > 0 {
                text.push(b',');
            }
            text.push(b'"');
            text.extend_from_slice(key.as_bytes());
            text.extend_from_slice(b"\":");
            let value = match field.selected() {
                None => Value::String(row.introspection_type_name().into_owned()),
                Some(field) if first && is_composite(field) => referred.next().unwrap_or_default(),
                Some(field) => row.resolve_field(&ctx.with_field(field)).await?.unwrap_or_default(),
            };
            json::write(&value, text);
        }
        text.push(b'}');
        Ok(())
    }

    async fn resolve_composites<T: ContainerType + Send + Sync>(
        &self,
        row: &T,
        ctx: &ContextSelectionSet<'_>,
    ) -> ServerResult<Vec<Value>> {
        let composites =
            self.fields.iter().filter_map(|planned| planned.field.selected()).filter(|it| is_composite(it));
        let values = composites
            .map(|field| async move { Ok(row.resolve_field(&ctx.with_field(field)).await?.unwrap_or_default()) });
        try_join_all(values).await
    }
}

fn is_composite(field: &Positioned<Field>) -> bool {
    !field.node.selection_set.node.items.is_empty()
}
