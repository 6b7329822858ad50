//! What is held against accounts: days, the types that are switched off, and where people sign in.

use std::collections::BTreeSet;

use entity::finding::Kind;
use entity::instance::Status;
use entity::{instance, job, report_setting, sign_in_provider};
use sea_orm::{
    ActiveModelTrait, ActiveValue::Set, ColumnTrait, ConnectionTrait, EntityTrait, PaginatorTrait, QueryFilter,
    QueryOrder, QuerySelect,
};
use uuid::Uuid;

use super::Findings;
use crate::audit::{self, Subject};
use crate::db::Tx;
use crate::directory::evaluations::{self, Changed};
use crate::error::{Error, Refusal, RefusalCode, Result};

/// The primary key of the only row of settings.
pub(super) const RULES: i32 = 1;
/// The least and the most days.
const DAYS: std::ops::RangeInclusive<i32> = 7..=730;
/// The most instances whose people sign in by an identity provider.
const MAX_PROVIDED: usize = 500;

/// What is held against all accounts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rules {
    pub inactive_days: i32,
    pub disabled: Vec<Kind>,
    /// Whether a digest is sent every week.
    pub has_digest: bool,
}

/// An application, and the identity provider by which its people sign in. Both are instances.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Provided {
    pub instance_id: Uuid,
    pub provider_id: Uuid,
}

/// A change of the settings. `None` leaves a part as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NewSettings {
    pub inactive_days: Option<i32>,
    pub disabled: Option<Vec<Kind>>,
    pub provided: Option<Vec<Provided>>,
    pub has_digest: Option<bool>,
}

impl Rules {
    pub async fn read<C: ConnectionTrait>(conn: &C) -> Result<Self> {
        let row = report_setting::Entity::find_by_id(RULES).one(conn).await?.ok_or_else(no_row)?;
        let has_digest = row.digest_since.is_some();
        Ok(Self { inactive_days: row.inactive_days, disabled: serde_json::from_str(&row.disabled)?, has_digest })
    }
}

fn no_row() -> Error {
    Error::Internal("the settings of reports have no row".into())
}

impl Findings {
    pub async fn rules(&self) -> Result<Rules> {
        Rules::read(self.db.read()).await
    }

    /// Where people sign in, in the order of the instances.
    pub async fn provided(&self) -> Result<Vec<Provided>> {
        let rows = sign_in_provider::Entity::find().order_by_asc(sign_in_provider::Column::InstanceId);
        let rows = rows.all(self.db.read()).await?;
        let provided =
            |row: sign_in_provider::Model| Provided { instance_id: row.instance_id, provider_id: row.provider_id };
        Ok(rows.into_iter().map(provided).collect())
    }

    /// How many instances are still to be evaluated, or are being evaluated.
    pub async fn backlog(&self) -> Result<u64> {
        let own = job::Entity::find().filter(job::Column::Kind.eq(job::Kind::Findings));
        Ok(own.count(self.db.read()).await?)
    }

    /// Changes the settings. All instances are evaluated again, unless the digest alone changes.
    pub async fn set(&self, new: &NewSettings) -> Result<()> {
        check(new)?;
        let now = self.clock.now();
        self.db
            .write(|tx| async move {
                let row = report_setting::Entity::find_by_id(RULES).lock_exclusive().one(tx.conn()).await?;
                let mut row = row.ok_or_else(no_row)?;
                row.inactive_days = new.inactive_days.unwrap_or(row.inactive_days);
                if let Some(disabled) = &new.disabled {
                    let disabled: BTreeSet<Kind> = disabled.iter().copied().collect();
                    row.disabled = serde_json::to_string(&disabled)?;
                }
                if let Some(has_digest) = new.has_digest {
                    row.digest_since = has_digest.then(|| row.digest_since.unwrap_or(now));
                }
                let set = report_setting::ActiveModel {
                    id: Set(RULES),
                    inactive_days: Set(row.inactive_days),
                    disabled: Set(row.disabled),
                    digest_since: Set(row.digest_since),
                };
                set.update(tx.conn()).await?;
                if let Some(provided) = &new.provided {
                    store(&tx, provided).await?;
                }
                audit::record_change(&tx, now, || None::<Subject>, "The settings of reports were changed.");
                if new.inactive_days.is_none() && new.disabled.is_none() && new.provided.is_none() {
                    return Ok(());
                }
                evaluations::request_all(&tx, None, Changed::Rules, now).await
            })
            .await
    }
}

fn check(new: &NewSettings) -> Result<()> {
    let mut refusals = Vec::new();
    if new.inactive_days.is_some_and(|days| !DAYS.contains(&days)) {
        let message = format!("The days are a number from {} to {}.", DAYS.start(), DAYS.end());
        refusals.push(Refusal::invalid(message, ["inactiveDays"]));
    }
    let provided = new.provided.as_deref().unwrap_or_default();
    if provided.len() > MAX_PROVIDED {
        let message = format!("At most {MAX_PROVIDED} instances.");
        refusals.push(Refusal::invalid(message, ["signInEnforcedBy"]));
    }
    let distinct: BTreeSet<Uuid> = provided.iter().map(|it| it.instance_id).collect();
    if distinct.len() < provided.len() {
        refusals.push(Refusal::invalid("An instance is given twice.", ["signInEnforcedBy"]));
    }
    for (index, it) in provided.iter().enumerate() {
        if it.instance_id == it.provider_id {
            refusals.push(Refusal::invalid("An instance is not its own identity provider.", at(index, "providerId")));
        }
    }
    if refusals.is_empty() { Ok(()) } else { Err(Error::Refused(refusals)) }
}

fn at(index: usize, field: &str) -> [String; 3] {
    ["signInEnforcedBy".to_owned(), index.to_string(), field.to_owned()]
}

async fn store(tx: &Tx, provided: &[Provided]) -> Result<()> {
    let asked: BTreeSet<Uuid> = provided.iter().flat_map(|it| [it.instance_id, it.provider_id]).collect();
    let known = instance::Entity::find()
        .select_only()
        .column(instance::Column::Id)
        .filter(instance::Column::Id.is_in(asked))
        .filter(instance::Column::Status.is_in(Status::KEPT));
    let known: BTreeSet<Uuid> = known.into_tuple::<Uuid>().all(tx.conn()).await?.into_iter().collect();
    for (index, it) in provided.iter().enumerate() {
        for (id, field) in [(it.instance_id, "instanceId"), (it.provider_id, "providerId")] {
            if !known.contains(&id) {
                let refusal = Refusal::new(RefusalCode::NotFound, "There is no instance with this id.");
                return Err(refusal.at(at(index, field)).into());
            }
        }
    }
    sign_in_provider::Entity::delete_many().exec(tx.conn()).await?;
    if provided.is_empty() {
        return Ok(());
    }
    let rows = provided
        .iter()
        .map(|it| sign_in_provider::ActiveModel { instance_id: Set(it.instance_id), provider_id: Set(it.provider_id) });
    sign_in_provider::Entity::insert_many(rows).exec_without_returning(tx.conn()).await?;
    Ok(())
}
