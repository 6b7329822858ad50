//! What is selected of a type, planned once for all rows.

use std::pin::Pin;

use async_graphql::parser::types::{Field, Selection, SelectionSet};
use async_graphql::{ContainerType, Context, ContextSelectionSet, Positioned, ServerError, ServerResult, Value};
use futures_util::future::try_join_all;

use crate::graphql::json;

pub type Writing<'a> = Pin<Box<dyn Future<Output = ServerResult<()>> + Send + 'a>>;

/// An object type that says how its fields are written. The macros of the same name implement it.
pub trait Fields: ContainerType + Send + Sync {
    /// How a field is written. `None` if the library must resolve it.
    fn way<'a>(name: &str, selected: Selected<'_, 'a>) -> Option<Way<'a>>;

    /// Writes the field of a [`Way::Value`].
    fn write_value(&self, index: usize, plan: Option<&Plan<'_>>, ctx: &Context<'_>, text: &mut Vec<u8>);

    /// Writes the field of a [`Way::Related`].
    fn write_related<'a>(
        &'a self,
        index: usize,
        plan: &'a Plan<'a>,
        ctx: &'a Context<'a>,
        text: &'a mut Vec<u8>,
    ) -> Writing<'a>;
}

impl<T: Fields> Fields for &T {
    fn way<'a>(name: &str, selected: Selected<'_, 'a>) -> Option<Way<'a>> {
        T::way(name, selected)
    }

    fn write_value(&self, index: usize, plan: Option<&Plan<'_>>, ctx: &Context<'_>, text: &mut Vec<u8>) {
        T::write_value(self, index, plan, ctx, text);
    }

    fn write_related<'a>(
        &'a self,
        index: usize,
        plan: &'a Plan<'a>,
        ctx: &'a Context<'a>,
        text: &'a mut Vec<u8>,
    ) -> Writing<'a> {
        T::write_related(self, index, plan, ctx, text)
    }
}

/// How a field is written.
pub enum Way<'a> {
    /// At once. The number is the one of its type's [`Fields`], and an object has a plan.
    Value(usize, Option<Plan<'a>>),
    /// After it was read, with this plan.
    Related(usize, Plan<'a>),
}

/// The selections of one response key.
#[derive(Clone, Copy)]
pub struct Selected<'s, 'a> {
    ctx: &'s ContextSelectionSet<'a>,
    fields: &'s [&'a Positioned<Field>],
}

impl<'a> Selected<'_, 'a> {
    /// What is selected of `T` together. `None` if the selections conflict, which the library finds at its own time.
    pub fn plan<T: Fields>(self) -> Option<Plan<'a>> {
        let mut flat = Flat::default();
        for field in self.fields {
            flat.add::<T>(self.ctx, &field.node.selection_set.node).ok()?;
        }
        Some(flat.plan::<T>(self.ctx))
    }
}

/// The fields that are selected of a type, each response key once.
pub struct Plan<'a>(Vec<Planned<'a>>);

struct Planned<'a> {
    /// The response key as JSON, with its colon.
    lead: String,
    /// `None` for `__typename`.
    field: Option<Merged<'a>>,
    way: Option<Way<'a>>,
}

/// A field with all that is selected of it.
enum Merged<'a> {
    Once(&'a Positioned<Field>),
    Together(Box<Positioned<Field>>),
}

impl Merged<'_> {
    fn field(&self) -> &Positioned<Field> {
        match self {
            Self::Once(field) => field,
            Self::Together(field) => field,
        }
    }
}

impl<'a> Plan<'a> {
    pub(super) fn new<T: Fields>(ctx: &ContextSelectionSet<'a>) -> ServerResult<Self> {
        let mut flat = Flat::default();
        flat.add::<T>(ctx, &ctx.item.node).map_err(|error| ctx.set_error_path(error))?;
        Ok(flat.plan::<T>(ctx))
    }

    pub(super) async fn write_rows<T: Fields>(
        &self,
        rows: &[T],
        ctx: &ContextSelectionSet<'_>,
        text: &mut Vec<u8>,
    ) -> ServerResult<()> {
        text.reserve(rows.len() * self.0.len() * 32);
        text.push(b'[');
        for (index, row) in rows.iter().enumerate() {
            if index > 0 {
                text.push(b',');
            }
            let ctx = ctx.with_index(index);
            let written = self.write(row, &ctx, index == 0, text).await;
            written.map_err(|error| ctx.set_error_path(error))?;
        }
        text.push(b']');
        Ok(())
    }

    /// Writes the fields of one row. What the first row of a list refers to is read concurrently, and with it what the
    /// others refer to.
    pub(super) async fn write<T: Fields>(
        &self,
        row: &T,
        ctx: &ContextSelectionSet<'_>,
        first: bool,
        text: &mut Vec<u8>,
    ) -> ServerResult<()> {
        let mut referred = if first { self.write_referred(row, ctx).await? } else { Vec::new() }.into_iter();
        text.push(b'{');
        for (index, planned) in self.0.iter().enumerate() {
            if index > 0 {
                text.push(b',');
            }
            text.extend_from_slice(planned.lead.as_bytes());
            match (&planned.field, &planned.way) {
                (None, _) => write_type_name(row, text),
                (Some(field), Some(Way::Value(index, plan))) => {
                    row.write_value(*index, plan.as_ref(), &ctx.with_field(field.field()), text);
                }
                (Some(_), _) if first && planned.refers() => text.append(&mut referred.next().unwrap_or_default()),
                (Some(field), Some(Way::Related(index, plan))) => {
                    row.write_related(*index, plan, &ctx.with_field(field.field()), text).await?;
                }
                (Some(field), None) => resolve(row, &ctx.with_field(field.field()), text).await?,
            }
        }
        text.push(b'}');
        Ok(())
    }

    /// Writes the fields of an object that has only fields which are written at once.
    pub fn write_values<T: Fields>(&self, object: &T, ctx: &Context<'_>, text: &mut Vec<u8>) {
        text.push(b'{');
        for (index, planned) in self.0.iter().enumerate() {
            if index > 0 {
                text.push(b',');
            }
            text.extend_from_slice(planned.lead.as_bytes());
            match &planned.way {
                Some(Way::Value(index, plan)) => object.write_value(*index, plan.as_ref(), ctx, text),
                _ => write_type_name(object, text),
            }
        }
        text.push(b'}');
    }

    async fn write_referred<T: Fields>(&self, row: &T, ctx: &ContextSelectionSet<'_>) -> ServerResult<Vec<Vec<u8>>> {
        let writing = self.0.iter().filter(|planned| planned.refers()).map(|planned| async move {
            let mut text = Vec::new();
            let Some(field) = &planned.field else { return Ok(text) };
            let ctx = ctx.with_field(field.field());
            match &planned.way {
                Some(Way::Related(index, plan)) => row.write_related(*index, plan, &ctx, &mut text).await?,
                _ => resolve(row, &ctx, &mut text).await?,
            }
            Ok(text)
        });
        try_join_all(writing).await
    }
}

impl Planned<'_> {
    /// Whether it is an object, or a list of them, that may have to be read.
    fn refers(&self) -> bool {
        let is_composite = |field: &Merged<'_>| !field.field().node.selection_set.node.items.is_empty();
        !matches!(self.way, Some(Way::Value(..))) && self.field.as_ref().is_some_and(is_composite)
    }
}

fn write_type_name<T: Fields>(object: &T, text: &mut Vec<u8>) {
    json::write_text(&object.introspection_type_name(), text);
}

/// Writes a field that the library resolves.
async fn resolve<T: Fields>(row: &T, ctx: &Context<'_>, text: &mut Vec<u8>) -> ServerResult<()> {
    let value: Value = row.resolve_field(ctx).await?.unwrap_or_default();
    json::write(&value, text);
    Ok(())
}

/// The selections of a type by response key, without fragments.
#[derive(Default)]
struct Flat<'a>(Vec<(&'a str, Vec<&'a Positioned<Field>>)>);

impl<'a> Flat<'a> {
    /// `T` is an object type, so it is known which fragments apply.
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
        let Some((_, known)) = self.0.iter_mut().find(|(known, _)| *known == key) else {
            self.0.push((key, vec![field]));
            return Ok(());
        };
        let what = |field: &'a Positioned<Field>| (&field.node.name.node, &field.node.arguments);
        if what(known[0]) != what(field) {
            // The library's validation finds most of these, but not all.
            let message = format!("Fields \"{key}\" conflict. Use different aliases to fetch both.");
            return Err(ServerError::new(message, Some(field.pos)));
        }
        if !field.node.selection_set.node.items.is_empty() {
            known.push(field);
        }
        Ok(())
    }

    fn plan<T: Fields>(self, ctx: &ContextSelectionSet<'a>) -> Plan<'a> {
        let plan = |(key, fields): (&'a str, Vec<&'a Positioned<Field>>)| {
            let name = fields[0].node.name.node.as_str();
            let (field, way) = if name == "__typename" {
                (None, None)
            } else {
                (Some(merge(&fields)), T::way(name, Selected { ctx, fields: &fields }))
            };
            Planned { lead: format!("\"{key}\":"), field, way }
        };
        Plan(self.0.into_iter().map(plan).collect())
    }
}

fn merge<'a>(fields: &[&'a Positioned<Field>]) -> Merged<'a> {
    if let [field] = fields {
        return Merged::Once(field);
    }
    let mut merged = fields[0].clone();
    let more = fields[1..].iter().flat_map(|field| &field.node.selection_set.node.items);
    merged.node.selection_set.node.items.extend(more.cloned());
    Merged::Together(Box::new(merged))
}
