//! The check of the rows that decide who may sign in.

use std::path::Path;

use entity::{member, member_identity, member_link, session};
use sea_orm::{ConnectionTrait, EntityTrait};
use uuid::Uuid;

use super::{Finding, MAX_FINDINGS, Report, Subject};
use crate::auth::signed::{Signed, is_signed};
use crate::error::Result;
use crate::secrets::KeyRing;

/// Checks that the installation's keys have signed every member, identity, link and session.
pub(super) async fn members<C: ConnectionTrait>(conn: &C, file: &Path, report: &mut Report) -> Result<()> {
    let mut check = Check { found: Vec::new() };
    if let Ok(Some(ring)) = KeyRing::load(file) {
        check.table::<member::Entity, _>(conn, &ring, "the member", |row| Some(row.id)).await?;
        check.table::<member_identity::Entity, _>(conn, &ring, "an identity", |row| Some(row.member_id)).await?;
        check.table::<member_link::Entity, _>(conn, &ring, "a link", |row| row.member_id).await?;
        check.table::<session::Entity, _>(conn, &ring, "a session", |row| Some(row.member_id)).await?;
    } else {
        report.notes.push("the members were not checked: there is no readable key file".into());
    }
    report.add("members", "Every member, identity, link and session is as this installation wrote it.", check.found);
    Ok(())
}

struct Check {
    found: Vec<Finding>,
}

impl Check {
    async fn table<E, C>(
        &mut self,
        conn: &C,
        ring: &KeyRing,
        what: &str,
        member: impl Fn(&E::Model) -> Option<Uuid>,
    ) -> Result<()>
    where
        E: EntityTrait,
        E::Model: Signed,
        C: ConnectionTrait,
    {
        for row in E::find().all(conn).await? {
            if self.found.len() <= MAX_FINDINGS && !is_signed(ring, &row) {
                let wrong = format!("{what} was written or changed outside of Muster; it is refused");
                let remedy = "Find out who wrote to the database. Restore a backup, or delete the row.";
                self.found.push(Finding { check: "members", about: Subject::Member, id: member(&row), wrong, remedy });
            }
        }
        Ok(())
    }
}
