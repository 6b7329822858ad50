//! What is known of the findings of an instance, and how far the current evaluation is.

use sea_orm::entity::prelude::*;
use serde::Deserialize;

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel, Deserialize)]
#[sea_orm(table_name = "evaluation")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub instance_id: Uuid,
    /// How often an evaluation was requested.
    pub requested: i64,
    /// The number of requests that the current evaluation, or else the last one, covers.
    pub begun: i64,
    /// Whether more than the activity of accounts may have changed since the current evaluation began, or else the last
    /// one.
    pub is_whole: bool,
    /// Whether a setting has changed since the current evaluation began, or else the last one.
    pub rules_changed: bool,
    /// Up to which account the current evaluation is done.
    pub position: Option<Uuid>,
    /// What the current evaluation has counted so far; null if there is none. JSON.
    pub pending: Option<String>,
    /// What the last evaluation has counted, as JSON; null if there is none.
    pub counts: Option<String>,
    /// How many findings of each type and severity are open: a JSON object. It changes with the findings.
    pub open: String,
    /// When the last evaluation ended.
    pub evaluated_at: Option<i64>,
    /// The figures that are recorded for the trend: a JSON object.
    pub recorded: String,
}

impl ActiveModelBehavior for ActiveModel {}
