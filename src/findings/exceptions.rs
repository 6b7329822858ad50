//! What members accept about accounts, for a time. An exception ends by itself, and does not cover anything worse.

use std::collections::{BTreeSet, HashMap};

use entity::evaluation::Entity as Evaluations;
use entity::finding::{self, Model, Severity};
use entity::finding_exception::{ActiveModel, Column, Entity};
use entity::user;
use sea_orm::sea_query::OnConflict;
use sea_orm::{
    ActiveModelTrait, ActiveValue::Set, ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QuerySelect,
};
use uuid::Uuid;

use super::changes::Key;
use super::standard::Standard;
use super::{Findings, not_found};
use crate::audit::{self, Subject};
use crate::clock::DAY_MS;
use crate::db::{Tx, keyset};
use crate::error::{Error, Refusal, RefusalCode, Result};

/// The most characters of a reason.
const MAX_WHY: usize = 500;
/// The longest time of an exception, in days.
const MAX_EXCEPTION_DAYS: i64 = 365;
/// How many accounts one statement looks up by id.
const LOOKED_UP: usize = 500;

/// An exception that a member makes.
#[derive(Clone, Debug)]
pub struct NewException {
    pub finding: Uuid,
    /// The name in histories.
    pub by: String,
    pub reason: String,
    pub until: i64,
}

impl NewException {
    fn check(&self, now: i64) -> Result<()> {
        let mut refusals = Vec::new();
        if self.reason.trim().is_empty() {
            refusals.push(Refusal::invalid("Say why this is acceptable.", ["reason"]));
        }
        if self.reason.chars().count() > MAX_WHY {
            refusals.push(Refusal::invalid(format!("A reason has at most {MAX_WHY} characters."), ["reason"]));
        }
        if self.until <= now {
            refusals.push(Refusal::invalid("This time has passed.", ["until"]));
        }
        if self.until > now + MAX_EXCEPTION_DAYS * DAY_MS {
            let message = format!("An exception ends after {MAX_EXCEPTION_DAYS} days at the latest.");
            refusals.push(Refusal::invalid(message, ["until"]));
        }
        if refusals.is_empty() { Ok(()) } else { Err(Error::Refused(refusals)) }
    }
}

impl Findings {
    /// Accepts an open finding. An earlier exception of the finding is replaced.
    pub async fn except(&self, new: &NewException) -> Result<Model> {
        let now = self.clock.now();
        new.check(now)?;
        self.db
            .write(|tx| async move {
                let (finding, account) = held(&tx, new.finding).await?;
                if finding.closed_at.is_some() {
                    let message = "The finding is closed.";
                    return Err(Refusal::invalid(message, ["findingId"]).into());
                }
                let row = ActiveModel {
                    instance_id: Set(finding.instance_id),
                    external_id: Set(account.external_id),
                    kind: Set(finding.kind),
                    severity: Set(finding.severity),
                    reason: Set(new.reason.trim().to_owned()),
                    decided_by: Set(new.by.clone()),
                    decided_at: Set(now),
                    until: Set(new.until),
                };
                let columns = [Column::Severity, Column::Reason, Column::DecidedBy, Column::DecidedAt, Column::Until];
                let key = OnConflict::columns([Column::InstanceId, Column::ExternalId, Column::Kind]);
                Entity::insert(row)
                    .on_conflict(key.clone().update_columns(columns).to_owned())
                    .exec_without_returning(tx.conn())
                    .await?;
                audit::record_change(&tx, now, || Subject::user(account.id), "A finding was accepted.");
                accept_until(&tx, finding.id, Some(new.until)).await
            })
            .await
    }

    /// Takes the exception of a finding back.
    pub async fn revoke(&self, finding: Uuid) -> Result<Model> {
        let now = self.clock.now();
        self.db
            .write(|tx| async move {
                let (finding, account) = held(&tx, finding).await?;
                let key = (finding.instance_id, account.external_id, finding.kind);
                if Entity::delete_by_id(key).exec(tx.conn()).await?.rows_affected == 0 {
                    return Err(Refusal::new(RefusalCode::NotFound, "The finding has no exception.").into());
                }
                audit::record_change(&tx, now, || Subject::user(account.id), "An exception was taken back.");
                accept_until(&tx, finding.id, None).await
            })
            .await
    }
}

/// A finding and its account, while no evaluation of the instance is at work.
async fn held(tx: &Tx, id: Uuid) -> Result<(Model, user::Model)> {
    let read = || finding::Entity::find_by_id(id).one(tx.conn());
    let found = read().await?.ok_or_else(not_found)?;
    Evaluations::find_by_id(found.instance_id).lock_exclusive().one(tx.conn()).await?;
    let found = read().await?.ok_or_else(not_found)?;
    let account = user::Entity::find_by_id(found.user_id).one(tx.conn()).await?;
    let account = account.ok_or_else(|| Refusal::new(RefusalCode::NotFound, "The account is gone."))?;
    Ok((found, account))
}

async fn accept_until(tx: &Tx, finding: Uuid, until: Option<i64>) -> Result<Model> {
    let set = finding::ActiveModel { id: Set(finding), excepted_until: Set(until), ..Default::default() };
    Ok(set.update(tx.conn()).await?)
}

/// What members have accepted about accounts: until when, and up to which severity.
pub(super) type Exceptions = HashMap<Key, (i64, Severity)>;

/// Until when a finding of this severity is accepted.
pub(super) fn excepted_until(exceptions: &Exceptions, key: Key, severity: Severity) -> Option<i64> {
    exceptions.get(&key).filter(|(_, worst)| severity <= *worst).map(|(until, _)| *until)
}

/// Those of these accounts.
pub(super) async fn exceptions(tx: &Tx, standard: &Standard, users: impl Iterator<Item = Uuid>) -> Result<Exceptions> {
    let users: BTreeSet<Uuid> = users.collect();
    if users.is_empty() {
        return Ok(HashMap::new());
    }
    let (conn, backend) = (tx.conn(), tx.conn().get_database_backend());
    let all = Entity::find().filter(Column::InstanceId.eq(standard.instance)).all(conn).await?;
    if all.is_empty() {
        return Ok(HashMap::new());
    }
    let users: Vec<Uuid> = users.into_iter().collect();
    let mut external = HashMap::new();
    for ids in users.chunks(LOOKED_UP) {
        let own = keyset::among((user::Entity, user::Column::Id), ids, backend);
        let rows = user::Entity::find().select_only().columns([user::Column::ExternalId, user::Column::Id]).filter(own);
        external.extend(rows.into_tuple::<(String, Uuid)>().all(conn).await?);
    }
    let of_user = |row: entity::finding_exception::Model| {
        let user = external.get(&row.external_id)?;
        Some(((*user, row.kind), (row.until, row.severity)))
    };
    Ok(all.into_iter().filter_map(of_user).collect())
}
