//! Keeps out of the register what an application says of accounts whose person was erased.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, HashSet};

use integration::user::SourceUser;

use super::bulk;
use super::reconcile::Scope;
use crate::db::Tx;
use crate::directory::erased;
use crate::error::Result;
use crate::secrets::HashKey;

/// The users of a page, without what could tell whose an erased account is. Nothing is computed for an instance without
/// erased accounts.
pub(super) async fn blank<'a>(tx: &Tx, scope: &Scope, users: &'a [SourceUser]) -> Result<Cow<'a, [SourceUser]>> {
    if users.is_empty() || !erased::any(tx.conn(), scope.instance_id).await? {
        return Ok(Cow::Borrowed(users));
    }
    let key = &erased::needed_key(tx.conn(), tx.keys()?).await?;
    let mut blanked = Vec::with_capacity(users.len());
    for users in users.chunks(bulk::ROWS) {
        let stand_ins: Vec<String> =
            users.iter().map(|user| erased::stand_in(key, scope.instance_id, &user.external_id)).collect();
        let gone = erased::known(tx.conn(), scope.instance_id, &stand_ins).await?;
        let listed: Vec<String> = gone.iter().cloned().collect();
        if !listed.is_empty() {
            erased::note_listed(tx.conn(), scope.instance_id, &listed, scope.now).await?;
        }
        let others = users.iter().zip(&stand_ins).filter(|(_, stand_in)| !gone.contains(*stand_in));
        let addresses = others.flat_map(|(user, _)| user.email.iter().chain(user.aliases.iter().flatten()));
        let held = addresses.filter_map(|address| erased::name(key, address)).collect();
        let managers = erased_managers(tx, key, scope, users, &held).await?;
        blanked.extend(users.iter().zip(stand_ins).map(|(user, stand_in)| {
            if gone.contains(&stand_in) {
                return without_person(user, stand_in);
            }
            let mut user = user.clone();
            user.manager = user.manager.filter(|manager| !managers.contains(manager));
            user
        }));
    }
    Ok(Cow::Owned(blanked))
}

/// Those of the managers of these users who were erased, as the application names them. `held` are the hashes of the addresses
/// of users who were not: such an address is theirs from now on, whoever had it before.
async fn erased_managers(
    tx: &Tx,
    key: &HashKey,
    scope: &Scope,
    users: &[SourceUser],
    held: &BTreeSet<String>,
) -> Result<HashSet<String>> {
    let (conn, instance) = (tx.conn(), scope.instance_id);
    let managers: BTreeSet<&String> = users.iter().filter_map(|user| user.manager.as_ref()).collect();
    let ids: BTreeMap<&String, String> =
        managers.iter().map(|manager| (*manager, erased::stand_in(key, instance, manager))).collect();
    let names: BTreeMap<&String, String> =
        managers.iter().filter_map(|manager| Some((*manager, erased::name(key, manager)?))).collect();
    let known_ids = erased::known(conn, instance, &ids.values().cloned().collect::<Vec<_>>()).await?;
    let asked: BTreeSet<&String> = names.values().chain(held).collect();
    let known_names = erased::known_names(conn, instance, &asked.into_iter().cloned().collect::<Vec<_>>()).await?;
    let (passed, kept): (Vec<String>, Vec<String>) = known_names.into_iter().partition(|name| held.contains(name));
    if !passed.is_empty() {
        erased::pass_on(conn, instance, &passed).await?;
    }
    if !kept.is_empty() {
        erased::note_named(conn, instance, &kept, scope.now).await?;
    }
    let by_id = ids.into_iter().filter(|(_, hash)| known_ids.contains(hash));
    let by_name = names.into_iter().filter(|(_, hash)| kept.contains(hash));
    Ok(by_id.chain(by_name).map(|(manager, _)| manager.clone()).collect())
}

/// The user as an account of nobody. Every field is named, so that a new one is thought of here.
fn without_person(user: &SourceUser, stand_in: String) -> SourceUser {
    SourceUser {
        external_id: stand_in,
        email: None,
        display_name: None,
        status: user.status,
        is_admin: user.is_admin,
        mfa_enabled: user.mfa_enabled,
        licenses: user.licenses.clone(),
        last_active_at: user.last_active_at,
        kind: user.kind,
        guest: user.guest,
        created_at: user.created_at,
        aliases: None,
        source_id: None,
        employee_id: None,
        department: None,
        manager: None,
        refused: user.refused.clone(),
    }
}
