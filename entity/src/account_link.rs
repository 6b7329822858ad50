//! Whose an account is, and why.

use sea_orm::entity::prelude::*;
use serde::Deserialize;

use crate::user::AccountKind;

/// What is known of whose an account is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EnumIter, DeriveActiveEnum, async_graphql::Enum, Deserialize)]
#[sea_orm(rs_type = "String", db_type = "String(StringLen::N(16))", rename_all = "snake_case")]
#[serde(rename_all = "snake_case")]
#[graphql(name = "LinkState")]
pub enum State {
    /// It is a person's.
    Linked,
    /// Its address belongs to somebody else by now, or to several people at once.
    Conflict,
    /// Its address is one of the company's, and no people source knows it.
    Unmatched,
    /// It has no address, and nothing else tells whose it is.
    NoAddress,
    /// It is a program's or that of several people, and nothing tells whose it is.
    NotPersonal,
    /// A member has decided that it is nobody's, or its person was erased.
    Nobody,
}

/// The rule that decided it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EnumIter, DeriveActiveEnum, async_graphql::Enum, Deserialize)]
#[sea_orm(rs_type = "String", db_type = "String(StringLen::N(32))", rename_all = "snake_case")]
#[serde(rename_all = "snake_case")]
#[graphql(name = "LinkRule")]
pub enum Rule {
    /// A member has decided it.
    Pin,
    /// It is the account of the person in a people source.
    Source,
    /// Its source id is the id of an account in a people source.
    SourceId,
    /// A people source gives the address to the person.
    Address,
    /// The same, with another domain that is declared equivalent.
    EquivalentDomain,
    /// The same, without the part of the address that follows the first `+`.
    Tag,
    /// There is no people source. The address, in an owned domain, stands for a person.
    OwnedAddress,
    /// The address, outside of the owned domains, stands for a person.
    ForeignAddress,
}

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel, Deserialize)]
#[sea_orm(table_name = "account_link")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub user_id: Uuid,
    pub instance_id: Uuid,
    pub person_id: Option<Uuid>,
    pub rule: Option<Rule>,
    pub state: State,
    /// What the rule has compared.
    pub evidence: Option<String>,
    /// The match key of the account's address when this was decided.
    pub address: Option<String>,
    /// Since when the account has this address.
    pub address_since: i64,
    pub source_id: Option<String>,
    /// The kind that a member has set.
    pub kind: Option<AccountKind>,
}

impl ActiveModelBehavior for ActiveModel {}
