//! A person whose accounts are known.

use sea_orm::entity::prelude::*;
use serde::{Deserialize, Serialize};

/// Whether a person belongs to the company, as its people sources say.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    Hash,
    PartialOrd,
    Ord,
    EnumIter,
    DeriveActiveEnum,
    Serialize,
    Deserialize,
    async_graphql::Enum,
)]
#[sea_orm(rs_type = "String", db_type = "String(StringLen::N(16))", rename_all = "snake_case")]
#[serde(rename_all = "snake_case")]
#[graphql(name = "PersonState")]
pub enum State {
    /// A people source lists the person, and has not suspended the account there.
    Current,
    /// Every people source of the highest rank that ever had the person has suspended the account there, or does not list
    /// it any more.
    Left,
    /// No people source says it.
    #[default]
    Unknown,
}

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel, Deserialize)]
#[sea_orm(table_name = "person")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    /// For somebody whom no people source has: the address by which the person is known, as a match key.
    pub address: Option<String>,
    pub state: State,
    pub state_since: i64,
    /// Whether the address is outside of the owned domains; null if that is not known.
    pub is_external: Option<bool>,
    /// This and the next columns are copied from the person's accounts.
    pub display_name: Option<String>,
    pub email: Option<String>,
    pub department: Option<String>,
    pub employee_id: Option<String>,
    /// The id or the address of the manager, as the people source writes it.
    pub manager: Option<String>,
    /// The instance and the account that the name was copied from.
    pub source_instance_id: Option<Uuid>,
    pub source_user_id: Option<Uuid>,
}

impl ActiveModelBehavior for ActiveModel {}
