//! Carries an erasure out, in one transaction.

use std::collections::BTreeSet;

use entity::{
    account_link, account_owner, erased_account, erased_name, erasure, evaluation, finding, finding_exception, person,
    person_pin, person_word, user, user_change,
};
use sea_orm::sea_query::OnConflict;
use sea_orm::{
    ActiveModelTrait, ActiveValue::Set, ColumnTrait, Condition, EntityTrait, IntoActiveModel, QueryFilter, QueryOrder,
    QuerySelect,
};
use uuid::Uuid;

use super::belongings::Belongings;
use super::ledger::Noted;
use crate::db::keyset;
use crate::directory::index::{self, Source};
use crate::directory::{delete, erased};
use crate::error::Result;
use crate::people::lane::Lane;
use crate::secrets::HashKey;

/// How many rows one statement stores.
const ROWS: usize = 500;

impl Lane<'_> {
    /// Deletes everything that is known of somebody, and blanks the accounts, which are nobody's from then on. `noted` is
    /// what is remembered of it.
    pub(super) async fn carry_out(&mut self, all: Belongings, noted: &Noted, key: &HashKey) -> Result<()> {
        let users: Vec<Uuid> = all.rows.iter().map(|row| row.id).collect();
        let addresses: Vec<String> = all.addresses.iter().cloned().collect();
        // Before their links are gone, and what was said of them.
        let mut touched: BTreeSet<Uuid> = self.with_addresses(&addresses).await?.into_iter().collect();
        touched.extend(&users);
        let mut others = self.holders_of(&users).await?;
        for (source, external) in &all.said {
            let heard = self.forget(*source, external).await?;
            touched.extend(heard.users);
            others.extend(heard.people);
        }
        for person in &all.people {
            others.remove(&person.id);
        }
        self.drop_what_was_decided(&all).await?;
        self.clear_findings(&all, &users).await?;
        self.clear_history(&users).await?;
        self.drop_people(&all, &users).await?;
        self.remember(noted, users.len()).await?;
        self.blank(all.rows, key).await?;
        self.look_at(&touched, self.now).await?;
        // In an older database, an account may have been somebody else's.
        self.assess(&others, self.now).await?;
        self.describe(others).await?;
        self.request_evaluations(self.now).await
    }

    /// The people whose these accounts are.
    async fn holders_of(&self, users: &[Uuid]) -> Result<BTreeSet<Uuid>> {
        use account_link::{Column, Entity};
        let own = keyset::among((Entity, Column::UserId), users, self.backend());
        let people = Entity::find().select_only().column(Column::PersonId).filter(own);
        let people: Vec<Option<Uuid>> = people.into_tuple().all(self.tx.conn()).await?;
        Ok(people.into_iter().flatten().collect())
    }

    /// Pins, owners and exceptions.
    async fn drop_what_was_decided(&mut self, all: &Belongings) -> Result<()> {
        use {account_owner as o, finding_exception as x, person_pin as p};
        let (conn, backend) = (self.tx.conn(), self.backend());
        let people: Vec<Uuid> = all.people.iter().map(|person| person.id).collect();
        let owned = keyset::among((o::Entity, o::Column::PersonId), &people, backend);
        let instances = o::Entity::find().select_only().column(o::Column::InstanceId).filter(owned.clone());
        // Their accounts have no owner any more.
        self.relinked.extend(instances.into_tuple::<Uuid>().all(conn).await?);
        o::Entity::delete_many().filter(owned).exec(conn).await?;
        let given = keyset::among((p::Entity, p::Column::PersonId), &people, backend);
        p::Entity::delete_many().filter(given).exec(conn).await?;
        for (instance, external) in &all.said {
            self.relinked.insert(*instance);
            let own = self.texts((p::Entity, p::Column::ExternalId), external);
            p::Entity::delete_many().filter(p::Column::InstanceId.eq(*instance)).filter(own).exec(conn).await?;
            let own = self.texts((o::Entity, o::Column::ExternalId), external);
            o::Entity::delete_many().filter(o::Column::InstanceId.eq(*instance)).filter(own).exec(conn).await?;
            let own = self.texts((x::Entity, x::Column::ExternalId), external);
            x::Entity::delete_many().filter(x::Column::InstanceId.eq(*instance)).filter(own).exec(conn).await?;
        }
        Ok(())
    }

    /// What findings follow from, and until when they were accepted. Whether they hold is evaluated afterwards.
    async fn clear_findings(&self, all: &Belongings, users: &[Uuid]) -> Result<()> {
        let (conn, backend) = (self.tx.conn(), self.backend());
        let instances: Vec<Uuid> = all.said.keys().copied().collect();
        let own = keyset::among((evaluation::Entity, evaluation::Column::InstanceId), &instances, backend);
        // So that no evaluation is at work, as when an exception is made.
        let held = evaluation::Entity::find().select_only().column(evaluation::Column::InstanceId).filter(own);
        let held = held.order_by_asc(evaluation::Column::InstanceId).lock_exclusive();
        held.into_tuple::<Uuid>().all(conn).await?;
        let set = finding::ActiveModel { evidence: Set("[]".into()), excepted_until: Set(None), ..Default::default() };
        finding::Entity::update_many()
            .set(set)
            .filter(keyset::among((finding::Entity, finding::Column::UserId), users, backend))
            .exec(conn)
            .await?;
        Ok(())
    }

    /// What the accounts were before each change. The changes stay, so that the counts of runs are still true.
    async fn clear_history(&self, users: &[Uuid]) -> Result<()> {
        use user_change::{Column, Entity};
        let conn = self.tx.conn();
        let own = keyset::among((Entity, Column::UserId), users, self.backend());
        let changes = Entity::find().select_only().columns([Column::Id, Column::OldValues]).filter(own);
        let changes = changes.filter(Column::OldValues.ne("")).into_tuple::<(i64, String)>().all(conn).await?;
        for (id, old_values) in changes {
            if let Some(kept) = erased::without_personal(&old_values)? {
                let set = user_change::ActiveModel { id: Set(id), old_values: Set(kept), ..Default::default() };
                set.update(conn).await?;
            }
        }
        Ok(())
    }

    /// The links of the accounts, also of those that are being removed, and the people with their words.
    async fn drop_people(&self, all: &Belongings, users: &[Uuid]) -> Result<()> {
        use account_link as l;
        let (conn, backend) = (self.tx.conn(), self.backend());
        let ids: Vec<Uuid> = all.people.iter().map(|person| person.id).collect();
        let linked = Condition::any()
            .add(keyset::among((l::Entity, l::Column::UserId), users, backend))
            .add(keyset::among((l::Entity, l::Column::PersonId), &ids, backend));
        l::Entity::delete_many().filter(linked).exec(conn).await?;
        let words = keyset::among((person_word::Entity, person_word::Column::PersonId), &ids, backend);
        person_word::Entity::delete_many().filter(words).exec(conn).await?;
        let own = keyset::among((person::Entity, person::Column::Id), &ids, backend);
        person::Entity::delete_many().filter(own).exec(conn).await?;
        Ok(())
    }

    /// Blanks the accounts, and deletes the words by which they are found.
    async fn blank(&self, rows: Vec<user::Model>, key: &HashKey) -> Result<()> {
        let conn = self.tx.conn();
        let words = rows.iter().filter(|row| !erased::is_stand_in(&row.external_id)).map(source).collect();
        index::remove(conn, &index::indexed(words)).await?;
        for mut row in rows {
            let stand_in = erased::stand_in(key, row.instance_id, &row.external_id);
            if stand_in != row.external_id {
                self.make_room(row.instance_id, &stand_in).await?;
            }
            erased::blank(&mut row, stand_in);
            row.into_active_model().reset_all().update(conn).await?;
        }
        Ok(())
    }

    /// Deletes what was left of an account that was erased before, was forgotten since, and has come back.
    async fn make_room(&self, instance: Uuid, stand_in: &str) -> Result<()> {
        let conn = self.tx.conn();
        let left = user::Entity::find().filter(user::Column::InstanceId.eq(instance));
        let left = left.filter(user::Column::ExternalId.eq(stand_in)).all(conn).await?;
        delete::remove(conn, left.iter().map(source).collect()).await?;
        Ok(())
    }

    /// Stores what is remembered of the erasure.
    async fn remember(&self, noted: &Noted, accounts: usize) -> Result<()> {
        let conn = self.tx.conn();
        let row = erasure::ActiveModel {
            id: Set(noted.id),
            at: Set(noted.at),
            person: Set(noted.person.clone()),
            reason: Set(noted.reason.clone()),
            accounts: Set(i64::try_from(accounts).unwrap_or(i64::MAX)),
            swept: Set(false),
        };
        erasure::Entity::insert(row).exec_without_returning(conn).await?;
        for some in noted.accounts.chunks(ROWS) {
            use erased_account::{ActiveModel, Column, Entity};
            let rows = some.iter().map(|(instance, stand_in)| ActiveModel {
                instance_id: Set(*instance),
                stand_in: Set(stand_in.clone()),
                erasure_id: Set(noted.id),
                listed_at: Set(self.now),
            });
            let mut known = OnConflict::columns([Column::InstanceId, Column::StandIn]);
            let known = known.update_columns([Column::ErasureId, Column::ListedAt]).to_owned();
            Entity::insert_many(rows).on_conflict(known).exec_without_returning(conn).await?;
        }
        // Where the person had an account.
        let instances: BTreeSet<Uuid> = noted.accounts.iter().map(|(instance, _)| *instance).collect();
        for instance in instances {
            for some in noted.names.chunks(ROWS) {
                use erased_name::{ActiveModel, Column, Entity};
                let rows = some.iter().map(|name| ActiveModel {
                    instance_id: Set(instance),
                    name: Set(name.clone()),
                    erasure_id: Set(noted.id),
                    listed_at: Set(self.now),
                });
                let mut known = OnConflict::columns([Column::InstanceId, Column::Name]);
                let known = known.update_columns([Column::ErasureId, Column::ListedAt]).to_owned();
                Entity::insert_many(rows).on_conflict(known).exec_without_returning(conn).await?;
            }
        }
        Ok(())
    }
}

/// What the words of an account are made of.
fn source(row: &user::Model) -> Source {
    (row.id, row.instance_id, row.email.clone(), row.display_name.clone(), row.removed_at)
}
