//! How many users of an instance hold a licence, see `license_tally`.

use sea_orm::entity::prelude::*;
use serde::Deserialize;

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel, Deserialize)]
#[sea_orm(table_name = "license_count")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub instance_id: Uuid,
    /// The name of the licence, as the application writes it.
    #[sea_orm(primary_key, auto_increment = false)]
    pub license: String,
    /// The holders by the status of their accounts.
    pub active: i64,
    pub suspended: i64,
    pub invited: i64,
    pub unknown: i64,
    /// Holders whose person has left the company.
    pub departed: i64,
    /// Holders of whom it is not known whether they belong to `departed`.
    pub departed_unknown: i64,
    /// Holders who are suspended and do not belong to `departed`.
    pub disabled: i64,
    /// Holders of whom it is not known whether they belong to `disabled`.
    pub disabled_unknown: i64,
    /// Holders who are neither of these and were never active.
    pub never: i64,
    /// Holders who are none of these and have been inactive for long.
    pub inactive: i64,
    /// Holders of whom it is not known whether they belong to `never`.
    pub never_unknown: i64,
    /// Holders of whom it is not known whether they belong to `inactive`.
    pub inactive_unknown: i64,
    /// Holders of whom it is not known whether they still need the licence, each once.
    pub undecided: i64,
}

impl ActiveModelBehavior for ActiveModel {}

impl Model {
    /// Of a licence that nobody holds.
    pub fn none(instance_id: Uuid, license: String) -> Self {
        Self {
            instance_id,
            license,
            active: 0,
            suspended: 0,
            invited: 0,
            unknown: 0,
            departed: 0,
            departed_unknown: 0,
            disabled: 0,
            disabled_unknown: 0,
            never: 0,
            inactive: 0,
            never_unknown: 0,
            inactive_unknown: 0,
            undecided: 0,
        }
    }
}
