//! An address that an account of a people source has or had.

use sea_orm::entity::prelude::*;

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "person_key")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    /// The address as a match key.
    pub value: String,
    /// The account of the source.
    pub instance_id: Uuid,
    pub external_id: String,
    /// Whether the account has the address still.
    pub listed: bool,
    pub valid_from: i64,
    /// When another account of the same source got the address; null if none has.
    pub valid_to: Option<i64>,
    /// The time of the run that found it.
    pub recorded_at: i64,
}

impl ActiveModelBehavior for ActiveModel {}
