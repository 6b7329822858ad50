//! What a people source says about one of its accounts. It is kept when the account is gone.

use sea_orm::entity::prelude::*;

/// Whether a source lists an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "String(StringLen::N(16))", rename_all = "snake_case")]
pub enum Presence {
    Present,
    Suspended,
    /// A complete list did not contain it.
    Absent,
}

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "source_account")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub instance_id: Uuid,
    #[sea_orm(primary_key, auto_increment = false)]
    pub external_id: String,
    /// Null if a member has decided that the account is nobody's.
    pub person_id: Option<Uuid>,
    pub employee_id: Option<String>,
    /// The primary address, as a match key.
    pub address: Option<String>,
    pub presence: Presence,
}

impl ActiveModelBehavior for ActiveModel {}
