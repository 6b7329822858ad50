//! Something about an account that somebody should look at. It is open until it is closed, for a reason.

use sea_orm::entity::prelude::*;
use serde::{Deserialize, Serialize};

/// What is found. The order is that of the digits in the code of an account, see the noun `findings`.
#[derive(
    Clone,
    Copy,
    Debug,
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
#[sea_orm(rs_type = "String", db_type = "String(StringLen::N(24))", rename_all = "snake_case")]
#[serde(rename_all = "snake_case")]
#[graphql(name = "FindingType")]
pub enum Kind {
    /// The account is active, and its person has left.
    LeaverActive,
    /// The address is in an owned domain, and no people source knows it.
    Unmatched,
    /// A person uses the account without a second factor.
    NoMfa,
    /// The same, and the account is an administrator.
    AdminWithoutMfa,
    /// An administrator is somebody from outside.
    ExternalAdmin,
    /// The account was not active for the days of the setting, and is older than that.
    Inactive,
    /// The account has a licence with a price and was never active, and is older than the days of the setting.
    NeverUsed,
    /// One person has several active accounts in the instance. It is about the first of them.
    Duplicate,
    /// The account is a guest's, or its address is outside of the owned domains.
    External,
    /// A program or several people use the account, and nobody who is with the company is responsible for it.
    UnownedService,
    /// The address of the account belongs to somebody else by now, or to several people at once.
    Conflict,
}

/// How much it matters.
#[derive(
    Clone,
    Copy,
    Debug,
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
#[graphql(name = "FindingSeverity")]
pub enum Severity {
    /// It costs money or order.
    Low,
    /// It may become a risk.
    Medium,
    /// It is a risk.
    High,
    /// It is a risk for the whole application.
    Critical,
}

/// Why a finding was closed.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Hash, EnumIter, DeriveActiveEnum, Serialize, Deserialize, async_graphql::Enum,
)]
#[sea_orm(rs_type = "String", db_type = "String(StringLen::N(24))", rename_all = "snake_case")]
#[serde(rename_all = "snake_case")]
#[graphql(name = "FindingCloseReason")]
pub enum CloseReason {
    /// A sync, or a decision of a member, has shown that it does not hold any more.
    Fixed,
    /// The application does not list the account any more, or its users were deleted.
    AccountGone,
    /// The instance was deleted.
    InstanceDeleted,
    /// A member has switched its type off.
    RuleOff,
    /// It does not hold under other settings, or cannot be decided any more.
    Reassessed,
}

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel, Deserialize)]
#[sea_orm(table_name = "finding")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub kind: Kind,
    pub instance_id: Uuid,
    /// The account that it is about. It has one open finding of a kind at most.
    pub user_id: Uuid,
    pub severity: Severity,
    /// False while the part of the user list that shows it cannot be read.
    pub confirmed: bool,
    /// Until when a member has accepted it.
    pub excepted_until: Option<i64>,
    pub opened_at: i64,
    pub closed_at: Option<i64>,
    pub close_reason: Option<CloseReason>,
    /// What it follows from, as it was when it was opened: a JSON array of pairs of a field and its value.
    pub evidence: String,
}

impl ActiveModelBehavior for ActiveModel {}
