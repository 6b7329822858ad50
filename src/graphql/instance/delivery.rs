//! The list that was delivered last to an instance.

use std::collections::HashMap;

use async_graphql::SimpleObject;
use chrono::{DateTime, Utc};
use entity::list_delivery::{Model, State};
use integration::list::{DateOrder, Encoding, Form, Format};
use uuid::Uuid;

use crate::clock::date_time;
use crate::graphql::api::Api;
use crate::graphql::batch::Relation;
use crate::graphql::error::ApiError;
use crate::graphql::page::int;
use crate::graphql::written::Fields;
use crate::instance::list;

/// A whole list of users that somebody delivered to an instance of the integration `list`.
#[derive(Clone, SimpleObject, Fields)]
pub struct ListDelivery {
    /// When the list was whole.
    delivered_at: DateTime<Utc>,
    /// Who delivered it: the e-mail address of a member, or the name of a token.
    delivered_by: String,
    /// How many users it has.
    user_count: i32,
    /// Whether its users are still to be taken over: by a run that is queued or running, or by the next one, because a
    /// guard has stopped the last.
    is_waiting: bool,
    /// The format of the file.
    format: Format,
    /// The encoding of the file, unless a byte order mark in it said another one.
    encoding: Encoding,
    /// What separated the columns; null for JSON Lines.
    separator: Option<String>,
    /// The order of the parts of dates with slashes; null if it was not said.
    date_order: Option<DateOrder>,
    /// Which columns of the file had which fields.
    columns: Vec<ListColumn>,
}

/// The columns of a file that have the value of a field.
#[derive(Clone, SimpleObject, Fields)]
pub struct ListColumn {
    /// The name of the field: `externalId`, or a field of `User`.
    field: String,
    /// The names of the columns: one, or several whose values belong together, such as a first and a last name.
    columns: Vec<String>,
}

impl ListDelivery {
    fn of(model: Model) -> Result<Self, ApiError> {
        let Form { format, encoding, separator, columns, dates } = list::form(&model)?;
        let column =
            |(target, columns): (integration::list::Target, _)| ListColumn { field: target.name().to_owned(), columns };
        Ok(Self {
            delivered_at: date_time(model.delivered_at.unwrap_or(model.touched_at)),
            delivered_by: model.delivered_by,
            user_count: int(model.user_count),
            is_waiting: model.state == State::Waiting,
            format,
            encoding,
            separator: separator.map(String::from),
            date_order: dates,
            columns: columns.into_iter().map(column).collect(),
        })
    }
}

/// The last deliveries to the instances of a list.
#[derive(PartialEq)]
pub struct LastDeliveries;

impl Relation for LastDeliveries {
    type Key = Uuid;
    type Value = ListDelivery;

    async fn fetch(&self, api: &Api, ids: &[Uuid]) -> Result<HashMap<Uuid, ListDelivery>, ApiError> {
        let found = api.instances.deliveries(ids).await?.into_iter();
        found.map(|(id, model)| Ok((id, ListDelivery::of(model)?))).collect()
    }
}
