//! When each part (capability) of an instance's user list was last read completely. Written when a run ends.

use std::collections::HashMap;

use entity::capability_state::{ActiveModel, Column, Entity, Model};
use integration::source::{Capability, Loss};
use sea_orm::sea_query::{Expr, OnConflict};
use sea_orm::{
    ActiveModelTrait, ColumnTrait, ConnectionTrait, EntityTrait, IntoActiveModel, Iterable, PrimaryKeyToColumn,
    QueryFilter, QueryTrait,
};
use uuid::Uuid;

use super::Instances;
use crate::db::{Columns, Tx, keyset};
use crate::error::{Error, Result};

/// What an ended run says about the parts.
pub struct Told<'a> {
    /// When the run started.
    pub at: i64,
    /// The parts that the integration lists.
    pub provided: &'a [Capability],
    /// The parts that the run could not read; `None` if it failed, because it then says nothing about any part.
    pub lost: Option<&'a [Loss]>,
}

/// The name in the database, as in stored losses.
fn name(capability: Capability) -> Result<String> {
    match serde_json::to_value(capability)? {
        serde_json::Value::String(name) => Ok(name),
        other => Err(Error::Internal(format!("a capability has an unexpected form: {other}").into())),
    }
}

/// The capability of a row.
fn of(row: &Model) -> Result<Capability> {
    Ok(serde_json::from_value(row.capability.as_str().into())?)
}

fn unknown(instance_id: Uuid, capability: Capability) -> Result<Model> {
    Ok(Model {
        instance_id,
        capability: name(capability)?,
        provided: false,
        as_of: None,
        lost_since: None,
        reason: None,
        missing_permission: None,
    })
}

/// The row after a run.
fn after(before: Model, capability: Capability, told: &Told) -> Model {
    let provided = told.provided.contains(&capability);
    let Some(lost) = told.lost else { return Model { provided, ..before } };
    let lost: Vec<&Loss> = lost.iter().filter(|loss| loss.capability == capability).collect();
    let known = Model { provided, lost_since: None, reason: None, missing_permission: None, ..before.clone() };
    if !provided {
        Model { as_of: None, ..known }
    } else if lost.is_empty() {
        Model { as_of: Some(told.at), ..known }
    } else {
        let permissions = lost.iter().filter_map(|loss| loss.missing_permission.as_deref()).collect::<Vec<_>>();
        Model {
            lost_since: before.lost_since.or(Some(told.at)),
            reason: lost.iter().find_map(|loss| loss.reason.clone()),
            missing_permission: (!permissions.is_empty()).then(|| permissions.join(", ")),
            ..known
        }
    }
}

/// Updates the rows after a run.
pub async fn record(tx: &Tx, instance: Uuid, told: &Told<'_>) -> Result<()> {
    let known = Entity::find().filter(Column::InstanceId.eq(instance)).all(tx.conn()).await?;
    let mut rows = Vec::new();
    for capability in Capability::ALL {
        let unknown = unknown(instance, *capability)?;
        let before = known.iter().find(|row| row.capability == unknown.capability);
        let row = after(before.cloned().unwrap_or(unknown), *capability, told);
        if before != Some(&row) {
            rows.push(row.into_active_model().reset_all());
        }
    }
    if rows.is_empty() {
        return Ok(());
    }
    let key = <Entity as EntityTrait>::PrimaryKey::iter().map(PrimaryKeyToColumn::into_column);
    let values = Column::iter().filter(|column| !matches!(column, Column::InstanceId | Column::Capability));
    Entity::insert_many::<ActiveModel, _>(rows)
        .on_conflict(OnConflict::columns(key).update_columns(values).to_owned())
        .exec_without_returning(tx.conn())
        .await?;
    Ok(())
}

/// When the last runs that read each part completely started. A part that no run has read is left out.
pub async fn as_of<C: ConnectionTrait>(conn: &C, instance: Uuid) -> Result<HashMap<Capability, i64>> {
    let rows = Entity::find().filter(Column::InstanceId.eq(instance)).all(conn).await?;
    // Another version of the server may know more of them.
    Ok(rows.iter().filter_map(|row| Some((of(row).ok()?, row.as_of?))).collect())
}

/// Clears `as_of`, because all users are deleted.
pub async fn forget(tx: &Tx, instance: Uuid) -> Result<()> {
    Entity::update_many()
        .col_expr(Column::AsOf, Expr::value(None::<i64>))
        .filter(Column::InstanceId.eq(instance))
        .exec(tx.conn())
        .await?;
    Ok(())
}

/// Deletes the rows of an instance.
pub async fn delete(tx: &Tx, instance: Uuid) -> Result<()> {
    Entity::delete_many().filter(Column::InstanceId.eq(instance)).exec(tx.conn()).await?;
    Ok(())
}

impl Instances {
    /// The state of every capability, by instance. Before the first run has ended, it only says which ones the
    /// integration provides.
    pub async fn capabilities(&self, ids: &[Uuid]) -> Result<HashMap<Uuid, Vec<(Capability, Model)>>> {
        let own = keyset::among((Entity, Column::InstanceId), ids, self.db.backend());
        let rows: Vec<Model> = self.db.read().rows(Entity::find().filter(own).into_query()).await?;
        let mut found: HashMap<Uuid, Vec<(Capability, Model)>> = HashMap::new();
        for row in rows {
            // Another version of the server may know more or fewer of them.
            if let Ok(capability) = of(&row) {
                found.entry(row.instance_id).or_default().push((capability, row));
            }
        }
        let complete = |id: &Uuid| found.get(id).is_some_and(|states| states.len() == Capability::ALL.len());
        let incomplete: Vec<Uuid> = ids.iter().copied().filter(|id| !complete(id)).collect();
        if !incomplete.is_empty() {
            for instance in self.by_ids(&incomplete, Columns::ALL).await?.into_values() {
                let integration = self.catalog.find(&instance.integration_key);
                let provided = integration.map_or(&[][..], |integration| &integration.capabilities);
                let told = Told { at: 0, provided, lost: None };
                let states = found.entry(instance.id).or_default();
                for capability in Capability::ALL {
                    if !states.iter().any(|(known, _)| known == capability) {
                        states.push((*capability, after(unknown(instance.id, *capability)?, *capability, &told)));
                    }
                }
            }
        }
        for states in found.values_mut() {
            states.sort_by_key(|(capability, _)| *capability);
        }
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MFA: Capability = Capability::Mfa;

    fn loss(permission: Option<&str>, reason: &str) -> Loss {
        let reason = Some(reason.to_owned());
        Loss::new(MFA, permission.map(str::to_owned), reason)
    }

    /// `as_of`, `lost_since`, reason and permission.
    type Known = (Option<i64>, Option<i64>, Option<String>, Option<String>);

    /// What is known after each run; `None` is a run that failed.
    fn story(runs: &[Option<&[Loss]>]) -> Vec<Known> {
        let mut row = unknown(Uuid::nil(), MFA).unwrap();
        let mut states = Vec::new();
        for (at, lost) in (1..).zip(runs) {
            row = after(row, MFA, &Told { at, provided: &[Capability::Users, MFA], lost: *lost });
            assert!(row.provided);
            states.push((row.as_of, row.lost_since, row.reason.clone(), row.missing_permission.clone()));
        }
        states
    }

    #[test]
    fn a_part_is_as_of_the_last_run_that_read_it_and_lost_since_the_first_that_did_not() {
        let (first, second) = (&[loss(Some("mfa.read"), "Refused.")][..], &[loss(None, "Broken.")][..]);
        let text = |text: &str| Some(text.to_owned());
        assert_eq!(
            story(&[None, Some(&[]), Some(first), None, Some(second), Some(&[]), Some(second)]),
            [
                (None, None, None, None),
                (Some(2), None, None, None),
                (Some(2), Some(3), text("Refused."), text("mfa.read")),
                (Some(2), Some(3), text("Refused."), text("mfa.read")),
                (Some(2), Some(3), text("Broken."), None),
                (Some(6), None, None, None),
                (Some(6), Some(7), text("Broken."), None),
            ]
        );
    }

    #[test]
    fn of_a_part_that_is_not_provided_any_more_nothing_is_known() {
        let read = after(unknown(Uuid::nil(), MFA).unwrap(), MFA, &Told { at: 1, provided: &[MFA], lost: Some(&[]) });
        let gone = after(read, MFA, &Told { at: 2, provided: &[], lost: Some(&[]) });
        assert_eq!(gone, unknown(Uuid::nil(), MFA).unwrap());
    }
}
