//! The checks of the rows that decide who may sign in.

use std::path::Path;

use entity::api_token::Role;
use entity::member_link::Purpose;
use entity::{member, member_identity, member_link, session};
use sea_orm::{ConnectionTrait, EntityTrait};
use uuid::Uuid;

use super::{Finding, MAX_FINDINGS, Provider, Report, Subject};
use crate::auth::signed::{Signed, is_signed};
use crate::error::Result;
use crate::secrets::KeyRing;

/// How many members a note names.
const NAMED: usize = 5;

/// Checks that the installation's keys have signed every member, identity, link and session, and that an administrator
/// can sign in.
pub(super) async fn members<C: ConnectionTrait>(
    conn: &C,
    file: &Path,
    provider: Option<&Provider>,
    now: i64,
    report: &mut Report,
) -> Result<()> {
    let Ok(Some(ring)) = KeyRing::load(file) else {
        report.notes.push("the members were not checked: there is no readable key file".into());
        report.add("members", PROMISE, Vec::new());
        return Ok(());
    };
    let mut check = Check { ring: &ring, found: Vec::new() };
    let members = check.table::<member::Entity, _>(conn, &MEMBER, |row| Some(row.id)).await?;
    let identities = check.table::<member_identity::Entity, _>(conn, &IDENTITY, |row| Some(row.member_id)).await?;
    let links = check.table::<member_link::Entity, _>(conn, &LINK, |row| row.member_id).await?;
    check.table::<session::Entity, _>(conn, &SESSION, |row| Some(row.id)).await?;
    report.add("members", PROMISE, check.found);

    let door = Door { identities, links: links.into_iter().filter(|link| link.expires_at > now).collect(), provider };
    let enabled: Vec<_> = members.iter().filter(|member| member.disabled_at.is_none()).collect();
    let found = (!members.is_empty() && !door.has_admin(&enabled)).then(|| Finding {
        check: "administrator",
        about: Subject::Database,
        id: None,
        wrong: "no administrator can sign in, and there is no link with which one could".into(),
        remedy: "Start `muster serve` again: it prints a link that makes an administrator. Or use `muster member reset` for one who exists.",
    });
    report.add(
        "administrator",
        "If there are members, an administrator can sign in, or has a link.",
        found.into_iter().collect(),
    );
    report.notes.extend(door.shut_out(&enabled));
    Ok(())
}

const PROMISE: &str = "Every member, identity, link and session is as this installation wrote it.";

/// What is said of the rows of a table.
struct Table {
    about: Subject,
    wrong: &'static str,
    remedy: &'static str,
}

const MEMBER: Table = Table {
    about: Subject::Member,
    wrong: "the member was written or changed outside of Muster, and may not sign in",
    remedy: "Find out who wrote to the database. Restore a backup, or delete the row from the table member and create the member again (`muster member create`).",
};
const IDENTITY: Table = Table {
    about: Subject::Member,
    wrong: "an account at an identity provider was connected to the member outside of Muster, or changed, and is refused",
    remedy: "Find out who wrote to the database. Then reset the member (`muster member reset`), or delete the row from the table member_identity.",
};
const LINK: Table = Table {
    about: Subject::Member,
    wrong: "a link was written or changed outside of Muster, and is refused",
    remedy: "Find out who wrote to the database. Then delete the row from the table member_link. `muster member reset` makes a new link.",
};
const SESSION: Table = Table {
    about: Subject::Session,
    wrong: "the session was written or changed outside of Muster, and is refused",
    remedy: "Find out who wrote to the database. Then delete the row from the table session. The member signs in again.",
};

struct Check<'a> {
    ring: &'a KeyRing,
    found: Vec<Finding>,
}

impl Check<'_> {
    /// Returns the rows that are signed.
    async fn table<E, C>(
        &mut self,
        conn: &C,
        table: &Table,
        id: impl Fn(&E::Model) -> Option<Uuid>,
    ) -> Result<Vec<E::Model>>
    where
        E: EntityTrait,
        E::Model: Signed,
        C: ConnectionTrait,
    {
        let (signed, others): (Vec<_>, Vec<_>) =
            E::find().all(conn).await?.into_iter().partition(|row| is_signed(self.ring, row));
        let room = (MAX_FINDINGS + 1).saturating_sub(self.found.len());
        let Table { about, wrong, remedy } = *table;
        let finding = |row| Finding { check: "members", about, id: id(row), wrong: wrong.into(), remedy };
        self.found.extend(others.iter().take(room).map(finding));
        Ok(signed)
    }
}

/// With what members sign in, as far as it is signed.
struct Door<'a> {
    identities: Vec<member_identity::Model>,
    /// Those that work.
    links: Vec<member_link::Model>,
    provider: Option<&'a Provider>,
}

impl Door<'_> {
    /// Whether a member can sign in. The identity provider finds a member who never used it by the address.
    fn lets_in(&self, member: &member::Model) -> bool {
        let by_provider = |provider: &Provider| {
            let own = |row: &member_identity::Model| row.member_id == member.id && row.issuer == provider.issuer;
            member.email.is_some() || self.identities.iter().any(own)
        };
        member.password_hash.is_some() || self.provider.is_some_and(by_provider)
    }

    fn has_link(&self, member: &member::Model) -> bool {
        self.links.iter().any(|link| link.member_id == Some(member.id))
    }

    /// Whether an administrator can sign in, or somebody can become one.
    fn has_admin(&self, enabled: &[&member::Model]) -> bool {
        self.provider.is_some_and(|provider| provider.makes_admins)
            || self.links.iter().any(|link| link.purpose == Purpose::FirstAdmin)
            || enabled
                .iter()
                .any(|member| member.role == Role::Admin && (self.lets_in(member) || self.has_link(member)))
    }

    /// A note about the members who cannot sign in. Nothing is wrong with that: their links have expired unused.
    fn shut_out(&self, enabled: &[&member::Model]) -> Option<String> {
        let all: Vec<_> = enabled.iter().filter(|member| !self.lets_in(member) && !self.has_link(member)).collect();
        let named: Vec<_> =
            all.iter().take(NAMED).map(|member| member.email.as_deref().unwrap_or(&member.name)).collect();
        let (names, dots) = (named.join(", "), if all.len() > NAMED { ", …" } else { "" });
        let count = all.len();
        (count > 0).then(|| {
            format!("{count} enabled members cannot sign in, because they have no password and their link has expired ({names}{dots}): `muster member reset` makes a new link, `muster member disable` ends the invitation")
        })
    }
}
