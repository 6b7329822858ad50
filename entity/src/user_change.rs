//! The history of the users: what one run changed about one user, and what the user was before.
//!
//! A user as it was at a time is the user as it is now, with the later changes taken back, the last one first.

use sea_orm::entity::prelude::*;
use serde::{Deserialize, Serialize};

/// How a run changed a user.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Hash, EnumIter, DeriveActiveEnum, async_graphql::Enum, Serialize, Deserialize,
)]
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
    /// The run that found it. The nil id if the run was a new baseline: what it reads differently may come from the
    /// manifest, so it is history, and no change that the run shows.
    pub run_id: Uuid,
    pub user_id: Uuid,
    pub kind: Kind,
    /// The API names of the changed fields, separated by commas. Empty unless the kind is `Changed`.
    pub fields: String,
    /// The values of the changed columns before the run, also of `removed_at`: a JSON object. If the run lists the user
    /// again, it compares with these values. Empty if there was no such user before.
    pub old_values: String,
    /// When it was stored, in Unix milliseconds. 0 if a release wrote it that kept no history.
    pub at: i64,
}

impl ActiveModelBehavior for ActiveModel {}
