//! A contract about licences of one instance. Days are numbered from 1970-01-01.

use sea_orm::entity::prelude::*;
use serde::Deserialize;

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel, Deserialize)]
#[sea_orm(table_name = "contract")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub instance_id: Uuid,
    pub name: String,
    /// The name in lower case: unique among the contracts of the instance.
    pub name_key: String,
    /// Its code by ISO 4217.
    pub currency: String,
    /// How many months the amounts of the lines are for.
    pub months: i32,
    /// The first day.
    pub starts_on: i32,
    /// The last day.
    pub ends_on: i32,
    pub notice_days: i32,
    /// The last day on which notice can be given: `ends_on - notice_days`.
    pub notice_by: i32,
    pub created_by: String,
    pub created_by_email: Option<String>,
    pub created_at: i64,
    pub updated_at: i64,
    /// Incremented by every change.
    pub revision: i32,
}

impl ActiveModelBehavior for ActiveModel {}
