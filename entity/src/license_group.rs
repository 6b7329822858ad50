//! How many users of an instance hold a licence, by the departments of their people, see `license_tally`.

use sea_orm::entity::prelude::*;
use serde::Deserialize;

/// Who the holders are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, EnumIter, DeriveActiveEnum, Deserialize)]
#[sea_orm(rs_type = "String", db_type = "String(StringLen::N(16))", rename_all = "snake_case")]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// People of a department.
    Department,
    /// People of whom no department is known.
    NoDepartment,
    /// Accounts without a person.
    Unmatched,
}

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel, Deserialize)]
#[sea_orm(table_name = "license_group")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub instance_id: Uuid,
    #[sea_orm(primary_key, auto_increment = false)]
    pub license: String,
    #[sea_orm(primary_key, auto_increment = false)]
    pub kind: Kind,
    /// Empty unless it is a department.
    #[sea_orm(primary_key, auto_increment = false)]
    pub department: String,
    pub holders: i64,
    /// How many people the holders are. Of accounts without a person, each counts as one.
    pub people: i64,
}

impl ActiveModelBehavior for ActiveModel {}
