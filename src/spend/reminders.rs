//! Reminders of the last day on which a contract can be cancelled: by mail, to its creator and every recipient.

use std::sync::Arc;

use entity::contract::{Column, Entity, Model};
use entity::instance;
use entity::notification::NotificationKind;
use entity::{contract_line, contract_reminder};
use sea_orm::sea_query::OnConflict;
use sea_orm::{ActiveValue::Set, ColumnTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect, QueryTrait};
use tracing::info;
use uuid::Uuid;

use crate::clock::{date_of, day_of};
use crate::db::Tx;
use crate::error::Result;
use crate::instance::{self as instances, Instances};
use crate::notification::compose::{Renewal, renewal};
use crate::notification::outbox;

/// How many days before the last day for notice a reminder is sent.
pub const STEPS: [i32; 3] = [120, 30, 7];

/// Which reminder is due, if any: the nearest step that has begun. After the last day for notice, none is.
pub fn step(notice_by: i32, today: i32) -> Option<i32> {
    let left = notice_by.checked_sub(today).filter(|left| *left >= 0)?;
    STEPS.into_iter().filter(|step| left <= *step).min()
}

/// Decides reminders and writes their mails.
#[derive(Clone)]
pub struct Reminders {
    pub instances: Instances,
    /// The URL that links in mails begin with.
    pub public_url: Arc<str>,
    /// The path of an instance's page in the console, without a slash in front.
    pub page_of: fn(Uuid) -> String,
    /// The host in Message-IDs.
    pub mail_host: Arc<str>,
}

impl Reminders {
    /// Sends what is due. Several servers may do so at the same time: each reminder is decided by one of them.
    pub async fn send_due(&self) -> Result<()> {
        let Instances { db, clock, .. } = &self.instances;
        let today = day_of(clock.now());
        let soon = Entity::find()
            .filter(Column::NoticeBy.gte(today))
            .filter(Column::NoticeBy.lte(today.saturating_add(STEPS[0])));
        let own = soon.clone().select_only().column(Column::Id).into_query();
        let soon: Vec<Model> = soon.order_by_asc(Column::NoticeBy).all(db.read()).await?;
        let told = contract_reminder::Entity::find()
            .filter(contract_reminder::Column::ContractId.in_subquery(own))
            .all(db.read())
            .await?;
        let is_told = |contract: &Model| {
            let own = |it: &&contract_reminder::Model| it.contract_id == contract.id && it.ends_on == contract.ends_on;
            let due = step(contract.notice_by, today);
            told.iter().filter(own).any(|reminder| Some(reminder.days) <= due)
        };
        for contract in soon.iter().filter(|contract| !is_told(contract)) {
            let (id, instance) = (contract.id, contract.instance_id);
            let mails = db.write(|tx| async move { self.decide(&tx, id, instance).await }).await?;
            if let Some(mails) = mails {
                info!(contract.id = %id, mails, "a reminder of a contract was decided");
            }
        }
        Ok(())
    }

    /// Decides about one contract, and writes the mails. `None` if nothing is due any more.
    async fn decide(&self, tx: &Tx, id: Uuid, instance: Uuid) -> Result<Option<usize>> {
        let now = self.instances.clock.now();
        let Some(owner) = instances::lock_existing(tx, instance).await? else { return Ok(None) };
        let Some(contract) = Entity::find_by_id(id).lock_exclusive().one(tx.conn()).await? else { return Ok(None) };
        let Some(days) = step(contract.notice_by, day_of(now)) else { return Ok(None) };
        if owner.status.is_deleted() {
            return Ok(None);
        }
        let addresses = outbox::addresses(tx, contract.created_by_email.clone(), now).await?;
        let row = contract_reminder::ActiveModel {
            contract_id: Set(id),
            ends_on: Set(contract.ends_on),
            days: Set(days),
            decided_at: Set(now),
            mails: Set(i32::try_from(addresses.len()).unwrap_or(i32::MAX)),
        };
        let key =
            [contract_reminder::Column::ContractId, contract_reminder::Column::EndsOn, contract_reminder::Column::Days];
        let decided = contract_reminder::Entity::insert(row)
            .on_conflict(OnConflict::columns(key).do_nothing().to_owned())
            .exec_without_returning(tx.conn())
            .await?;
        if decided == 0 {
            return Ok(None);
        }
        let count = addresses.len();
        self.write_mails(tx, (&contract, &owner), days, addresses, now).await?;
        Ok(Some(count))
    }

    async fn write_mails(
        &self,
        tx: &Tx,
        (contract, owner): (&Model, &instance::Model),
        days: i32,
        addresses: Vec<String>,
        now: i64,
    ) -> Result<()> {
        let lines = contract_line::Entity::find().filter(contract_line::Column::ContractId.eq(contract.id));
        let lines = lines.order_by_asc(contract_line::Column::Position).all(tx.conn()).await?;
        let rendered = renewal(&Renewal {
            integration: self.instances.about(owner).integration,
            instance: &owner.name,
            contract: &contract.name,
            ends_on: date_of(contract.ends_on),
            notice_by: date_of(contract.notice_by),
            notice_days: contract.notice_days,
            days_left: contract.notice_by - day_of(now),
            seats: &lines.iter().map(|line| (line.license.as_str(), line.seats)).collect::<Vec<_>>(),
            link: format!("{}/{}", self.public_url, (self.page_of)(owner.id)),
        });
        let name = format!("{} {} {days}", contract.id, contract.ends_on);
        let of = (NotificationKind::RenewalReminder, Some(owner.id));
        outbox::enqueue_report(tx, of, (&name, &self.mail_host), addresses, &rendered, now).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_step_that_has_begun_is_due_until_the_last_day_for_notice() {
        for (left, due) in [
            (121, None),
            (120, Some(120)),
            (31, Some(120)),
            (30, Some(30)),
            (8, Some(30)),
            (7, Some(7)),
            (0, Some(7)),
            (-1, None),
            (i32::MIN, None),
        ] {
            assert_eq!(step(20_000_i32.saturating_add(left), 20_000), due, "{left}");
        }
    }
}
