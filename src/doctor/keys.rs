//! The checks of what the installation's keys seal and sign.

use std::path::Path;

use entity::{api_token, erasure_key, installation, instance, oauth_authorization, oauth_grant, webhook};
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect};
use serde_json::Value;
use uuid::Uuid;

use super::{Finding, MAX_FINDINGS, Report, Subject};
use crate::auth;
use crate::directory::erased::KEY_PLACE;
use crate::error::Result;
use crate::installation::key_matches;
use crate::instance::sealed::{Owner, consent};
use crate::secrets::{KeyRing, OpenError, Place, key_id_of};
use crate::webhook::sealed;

/// How many credentials are read at a time.
const PAGE: u64 = 500;
const KEY_REMEDY: &str = "Put the right key file back.";

/// Checks the installation's row, and that its keys open every sealed value.
pub(super) async fn secret_key<C: ConnectionTrait>(conn: &C, file: &Path, now: i64, report: &mut Report) -> Result<()> {
    let rows = installation::Entity::find().all(conn).await?;
    let mut found = Vec::new();
    if rows.len() != 1 || rows[0].id != installation::ID {
        let wrong = format!("the table installation has {} rows", rows.len());
        let remedy = "Restore a backup, or insert the row again: id 1, any log_epoch, needs 14.";
        found.push(Finding { check: "installation", about: Subject::Database, id: None, wrong, remedy });
    }
    report.add("installation", "The table installation has one row, with the epoch of the event log.", found);

    let mut check = KeyCheck { file, ring: KeyRing::load(file), found: Vec::new(), notes: Vec::new() };
    for row in rows {
        match row.key_check {
            Some(value) => check.installation(&value),
            None => check.first_start(conn).await?,
        }
    }
    check.secrets(conn).await?;
    check.grants(conn).await?;
    check.consents(conn, now).await?;
    check.erasures(conn).await?;
    check.webhooks(conn).await?;
    report.notes.append(&mut check.notes);
    report.add("secret-key", "The keys of this installation open every stored credential.", check.found);
    Ok(())
}

/// Collects the sealed values that the keys do not open.
struct KeyCheck<'a> {
    file: &'a Path,
    ring: Result<Option<KeyRing>, String>,
    found: Vec<Finding>,
    notes: Vec<String>,
}

impl KeyCheck<'_> {
    fn installation(&mut self, check: &[u8]) {
        match &self.ring {
            Ok(Some(ring)) if !key_matches(ring, check) => self.add(None, OpenError::OtherKey),
            Ok(Some(_)) if key_id_of(check).is_none() => {
                let wrong = "what an earlier version sealed was not sealed anew yet".to_owned();
                self.push(None, wrong, "Start `muster serve` of this version.");
            }
            Ok(Some(_)) => {}
            Ok(None) | Err(_) => self.add(None, OpenError::OtherKey),
        }
    }

    /// Without a check in the installation's row, there must be nothing that a key protects.
    async fn first_start<C: ConnectionTrait>(&mut self, conn: &C) -> Result<()> {
        let signed = api_token::Entity::find().filter(api_token::Column::Signature.is_not_null());
        if signed.limit(1).one(conn).await?.is_some() {
            let wrong = "the check of the secret key was removed outside of Muster".to_owned();
            self.push(None, wrong, "Find out who wrote to the database. The next start writes the check again.");
        }
        Ok(())
    }

    fn value(&mut self, instance: Uuid, place: &Place<'_>, sealed: &[u8]) {
        let opened = match &self.ring {
            Ok(Some(ring)) => ring.open(place, sealed).map(drop),
            Ok(None) | Err(_) => Err(OpenError::OtherKey),
        };
        if let Err(error) = opened {
            self.add(Some(instance), error);
        }
    }

    fn add(&mut self, instance: Option<Uuid>, error: OpenError) {
        let (wrong, remedy) = match (&self.ring, error) {
            (Err(line), _) => (line.clone(), KEY_REMEDY),
            (Ok(None), _) => (format!("there is no key file {}", self.file.display()), KEY_REMEDY),
            (Ok(Some(_)), OpenError::OtherKey) => {
                (format!("it was sealed with another key than those in {}", self.file.display()), KEY_REMEDY)
            }
            (Ok(Some(_)), OpenError::Changed) => (
                "its credential does not open: it, or a setting of the instance, was changed outside of Muster".into(),
                "Check the settings of the instance, and enter them again with the credential.",
            ),
        };
        self.push(instance, wrong, remedy);
    }

    fn push(&mut self, id: Option<Uuid>, wrong: String, remedy: &'static str) {
        if self.found.len() <= MAX_FINDINGS {
            let about = if id.is_some() { Subject::Instance } else { Subject::Database };
            self.found.push(Finding { check: "secret-key", about, id, wrong, remedy });
        }
    }

    async fn secrets<C: ConnectionTrait>(&mut self, conn: &C) -> Result<()> {
        use instance::Column;
        let mut after = Uuid::nil();
        loop {
            let rows: Vec<(Uuid, String, Value, i64, Vec<u8>)> = instance::Entity::find()
                .select_only()
                .columns([Column::Id, Column::IntegrationKey, Column::Config])
                .columns([Column::SecretsGeneration, Column::Secrets])
                .filter(Column::Id.gt(after))
                .filter(Column::Secrets.is_not_null())
                .order_by_asc(Column::Id)
                .limit(PAGE)
                .into_tuple()
                .all(conn)
                .await?;
            let Some((last, ..)) = rows.last() else { return Ok(()) };
            after = *last;
            for (id, key, config, generation, value) in rows {
                self.value(id, &Owner::new(id, &key, &config).secrets(generation), &value);
            }
        }
    }

    async fn grants<C: ConnectionTrait>(&mut self, conn: &C) -> Result<()> {
        let mut after = Uuid::nil();
        loop {
            let grants = oauth_grant::Entity::find()
                .filter(oauth_grant::Column::InstanceId.gt(after))
                .order_by_asc(oauth_grant::Column::InstanceId)
                .limit(PAGE)
                .all(conn)
                .await?;
            let Some(last) = grants.last() else { return Ok(()) };
            after = last.instance_id;
            let ids = grants.iter().map(|row| row.instance_id);
            let owners: Vec<(Uuid, String, Value)> = instance::Entity::find()
                .select_only()
                .columns([instance::Column::Id, instance::Column::IntegrationKey, instance::Column::Config])
                .filter(instance::Column::Id.is_in(ids))
                .into_tuple()
                .all(conn)
                .await?;
            for row in &grants {
                // A grant without an instance is found by another check.
                if let Some((id, key, config)) = owners.iter().find(|(id, ..)| *id == row.instance_id) {
                    self.value(*id, &Owner::new(*id, key, config).grant(row.generation), &row.sealed);
                }
            }
        }
    }

    /// The key of erased accounts.
    async fn erasures<C: ConnectionTrait>(&mut self, conn: &C) -> Result<()> {
        for row in erasure_key::Entity::find().all(conn).await? {
            let Ok(Some(ring)) = &self.ring else { return Ok(()) };
            if ring.open(&KEY_PLACE, &row.sealed).is_err() {
                let wrong =
                    "the key of erased accounts does not open, so that syncs of their instances fail".to_owned();
                self.push(None, wrong, "Put the right key file back, or restore the table erasure_key from a backup.");
            }
        }
        Ok(())
    }

    async fn webhooks<C: ConnectionTrait>(&mut self, conn: &C) -> Result<()> {
        for row in webhook::Entity::find().order_by_asc(webhook::Column::Id).all(conn).await? {
            // Without a key file, this was found for the installation.
            let Ok(Some(ring)) = &self.ring else { return Ok(()) };
            if let Err(error) = sealed::open(ring, &row) {
                let finding = Finding {
                    check: "secret-key",
                    about: Subject::Webhook,
                    id: Some(row.id),
                    wrong: format!("its secret does not open: {error}"),
                    remedy: "Check its address, and give it a new secret (rotateWebhookSecret); enter the address of a chat or an alert manager again (updateWebhook). Put the right key file back if instances are found as well.",
                };
                self.found.push(finding);
            }
        }
        Ok(())
    }

    /// Those that can still be completed. There are few of them: each waits for ten minutes at most.
    async fn consents<C: ConnectionTrait>(&mut self, conn: &C, now: i64) -> Result<()> {
        let open = oauth_authorization::Entity::find().filter(oauth_authorization::Column::ExpiresAt.gt(now));
        for row in open.all(conn).await? {
            let instance = match row.instance_id {
                Some(id) => instance::Entity::find_by_id(id).one(conn).await?,
                None => None,
            };
            let Ok(Some(ring)) = &self.ring else { return Ok(()) };
            let owner = instance.as_ref().map(Owner::of);
            // One whose instance does not exist is found by another check.
            if row.instance_id.is_some() && owner.is_none()
                || ring.open(&consent(&row, owner.as_ref()), &row.sealed).is_ok()
            {
                continue;
            }
            let wrong = format!("a consent for \"{}\", which is waited for, does not open", row.integration_key);
            match instance {
                Some(instance) => self.notes.push(format!(
                    "{wrong}: the settings of \"{}\" were changed since it began, or the row was written from outside. It cannot be completed, and is removed within minutes",
                    instance.name
                )),
                None => self.push(
                    None,
                    wrong,
                    "Find out who wrote to the database. It cannot be completed, and is removed within minutes. Begin it again.",
                ),
            }
        }
        Ok(())
    }
}

/// Checks that the installation's keys have signed every API token.
pub(super) async fn api_tokens<C: ConnectionTrait>(conn: &C, file: &Path, report: &mut Report) -> Result<()> {
    let (mut found, mut revoked) = (Vec::new(), 0);
    if let Ok(Some(ring)) = KeyRing::load(file) {
        for token in api_token::Entity::find().order_by_asc(api_token::Column::Id).all(conn).await? {
            if auth::signed::is_signed(&ring, &token) {
                continue;
            }
            if token.revoked_at.is_some() {
                revoked += 1;
            } else if found.len() <= MAX_FINDINGS {
                let wrong =
                    format!("the token \"{}\" was written or changed outside of Muster; it is refused", token.name);
                let remedy = "Find out who wrote to the database. Revoke the token by its name, and create a new one.";
                found.push(Finding { check: "api-tokens", about: Subject::Token, id: Some(token.id), wrong, remedy });
            }
        }
    } else {
        report.notes.push("the API tokens were not checked: there is no readable key file".into());
    }
    if revoked > 0 {
        // An earlier version does not sign the columns that were added since.
        report.notes.push(format!(
            "{revoked} revoked API tokens are not signed as this version signs them: a replica of an earlier version revoked them, or their rows were written from outside. They are refused in any case"
        ));
    }
    report.add("api-tokens", "Every API token is as this installation wrote it.", found);
    Ok(())
}
