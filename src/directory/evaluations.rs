//! Requests evaluations of findings, and counts of licences, in the transaction that makes one necessary. They are done
//! later, see the nouns `findings` and `spend`.

use std::collections::BTreeSet;

use entity::evaluation::{ActiveModel, Column, Entity};
use entity::instance::Status;
use entity::job::Kind;
use entity::{instance, sign_in_provider};
use sea_orm::sea_query::{Expr, ExprTrait, OnConflict};
use sea_orm::{ActiveValue::Set, ColumnTrait, EntityTrait, QueryFilter, QuerySelect};
use uuid::Uuid;

use crate::db::Tx;
use crate::error::Result;
use crate::queue::{self, Priority};

/// How many instances one statement asks for.
const REQUESTS: usize = 500;

/// How long an evaluation waits that may stand for more, in milliseconds.
pub const SOON_MS: i64 = 500;

/// What has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Changed {
    /// When accounts were active, and nothing else.
    Activity,
    /// Accounts, or whose they are.
    Accounts,
    /// What is held against them.
    Rules,
    /// Both.
    Everything,
}

impl Changed {
    fn is_about_accounts(self) -> bool {
        matches!(self, Self::Accounts | Self::Everything)
    }

    fn is_about_rules(self) -> bool {
        matches!(self, Self::Rules | Self::Everything)
    }
}

/// Requests that these instances are evaluated at this time, with those whose people sign in by one of them.
pub async fn request(tx: &Tx, instances: &BTreeSet<Uuid>, changed: Changed, due: i64) -> Result<()> {
    if instances.is_empty() {
        return Ok(());
    }
    let dependent = sign_in_provider::Entity::find()
        .select_only()
        .column(sign_in_provider::Column::InstanceId)
        .filter(sign_in_provider::Column::ProviderId.is_in(instances.iter().copied()));
    let dependent: Vec<Uuid> = dependent.into_tuple().all(tx.conn()).await?;
    // In the order of ids, so that no two transactions wait for each other.
    let all: BTreeSet<Uuid> = instances.iter().copied().chain(dependent).collect();
    let all: Vec<Uuid> = all.into_iter().collect();
    for some in all.chunks(REQUESTS) {
        let rows = some.iter().map(|instance| ActiveModel {
            instance_id: Set(*instance),
            requested: Set(1),
            begun: Set(0),
            is_whole: Set(changed != Changed::Activity),
            rules_changed: Set(changed.is_about_rules()),
            open: Set("{}".into()),
            ..Default::default()
        });
        let mut known = OnConflict::column(Column::InstanceId);
        known.value(Column::Requested, Expr::col((Entity, Column::Requested)).add(1_i64));
        if changed != Changed::Activity {
            known.value(Column::IsWhole, true);
        }
        if changed.is_about_rules() {
            known.value(Column::RulesChanged, true);
        }
        Entity::insert_many(rows).on_conflict(known).exec_without_returning(tx.conn()).await?;
        queue::enqueue_with(tx, Kind::Findings, Priority::Usual, some, due).await?;
        if changed.is_about_accounts() {
            queue::enqueue_with(tx, Kind::Tally, Priority::Usual, some, due).await?;
        }
    }
    Ok(())
}

/// Requests that all instances are evaluated, and this one, which may be deleted.
pub async fn request_all(tx: &Tx, with: Option<Uuid>, changed: Changed, due: i64) -> Result<()> {
    let all = instance::Entity::find()
        .select_only()
        .column(instance::Column::Id)
        .filter(instance::Column::Status.is_in(Status::KEPT));
    let all: Vec<Uuid> = all.into_tuple().all(tx.conn()).await?;
    request(tx, &all.into_iter().chain(with).collect(), changed, due).await
}
