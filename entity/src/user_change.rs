//! What one run changed about one user.

use sea_orm::entity::prelude::*;
use serde::Deserialize;

/// How a run changed a user.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EnumIter, DeriveActiveEnum, async_graphql::Enum, Deserialize)]
#[sea_orm(rs_type = "String", db_type = "String(StringLen::N(8))", rename_all = "snake_case")]
#[serde(rename_all = "snake_case")]
#[graphql(name = "UserChangeKind")]
pub enum Kind {
    /// The account is new, or is listed again.
    Added,
    /// A field of the account changed.
    Changed,
    /// The application no longer lists the account.
    Removed,
}

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel, Deserialize)]
#[sea_orm(table_name = "user_change")]
pub struct Model {
    #[sea_orm(primary_key)]
    pub id: i64,
    pub run_id: Uuid,
    pub user_id: Uuid,
    pub kind: Kind,
    /// The API names of the changed fields, separated by commas. Empty unless the kind is `Changed`.
    pub fields: String,
    /// The values of the changed fields before the run: a JSON object. If the run lists the user again, it compares
    /// with these values. Empty unless the kind is `Changed`.
    pub old_values: String,
}

impl ActiveModelBehavior for ActiveModel {}
