//! Members: the people who may sign in, their passwords and their links.
//!
//! Everything here that changes a member first locks the row of the installation, so that of two changes at once one
//! sees the other: there is always an administrator who can sign in.

use std::collections::HashSet;
use std::sync::Arc;

use entity::member::{Column, Entity, Model};
use entity::{member_identity, member_link};
use sea_orm::{
    ActiveEnum, ColumnTrait, EntityTrait, ExprTrait, PaginatorTrait, QueryFilter, QueryOrder, QuerySelect, Select,
};
use uuid::Uuid;

use super::attempts::{self, Counters};
use super::links::{Link, Purpose};
use super::passwords::{self, Passwords};
use super::sessions::{Client, How, NewSession, Sessions};
use super::signed::{self, genuine};
use super::{Role, browsers, tokens};
use crate::audit::{self, Subject};
use crate::clock::Clock;
use crate::db::{Db, Tx, any_contains};
use crate::error::{Error, Refusal, RefusalCode, Result};
use crate::installation::{self, sealing_key};
use crate::mail::EmailAddress;
use crate::mail::text::{is_deceptive, one_line};
use crate::secrets::{KeyRing, SecretKey};

/// The longest name, in characters.
const NAME: usize = 100;

/// Somebody who is to become a member.
#[derive(Clone, Debug)]
pub struct NewMember {
    pub name: String,
    pub email: String,
    pub role: Role,
}

/// What to change of a member.
#[derive(Clone, Debug, Default)]
pub struct Change {
    pub name: Option<String>,
    pub role: Option<Role>,
    pub disabled: Option<bool>,
}

/// What became of an attempt to sign in with a password.
pub enum SignIn {
    Begun(Box<NewSession>),
    /// For every reason the same. Whose account it was is for the audit log.
    Refused(Option<Box<Subject>>),
    /// There were too many attempts on this account; the next may follow after so many milliseconds.
    TooEarly(i64),
}

/// The members of this installation.
#[derive(Clone)]
pub struct Members {
    pub(super) db: Db,
    pub(super) clock: Clock,
    pub(super) keys: Arc<KeyRing>,
    pub sessions: Sessions,
    pub(super) passwords: Passwords,
}

impl Members {
    /// `issuer` is the identity provider of the settings.
    pub fn new(db: Db, clock: Clock, keys: Arc<KeyRing>, issuer: Option<Arc<str>>) -> Self {
        let sessions = Sessions::new(db.clone(), clock.clone(), keys.clone(), issuer);
        Self { db, clock, keys, sessions, passwords: Passwords::default() }
    }

    /// Signs in with a password. Every failure takes the same time.
    pub async fn sign_in(&self, email: &str, password: &str, client: &Client) -> Result<SignIn> {
        let email = &key_of(email);
        let counters = &match self.known_browser(email, client) {
            Some(browser) => Counters::of_browser(browser, email),
            None => Counters::of_stranger(client.address, email),
        };
        if let Some(wait) = self.count_attempt(counters).await? {
            return Ok(SignIn::TooEarly(wait));
        }
        let found = Entity::find().filter(Column::Email.eq(email)).one(self.db.reserved()).await?;
        let found = genuine(&self.keys, found).filter(|member| member.disabled_at.is_none());
        let known = found.as_ref().and_then(|member| member.password_hash.as_deref());
        if !self.passwords.verify(password, known).await? {
            return Ok(SignIn::Refused(found.as_ref().map(|member| Box::new(subject(member)))));
        }
        let begin = self.db.write(|tx| async move {
            sealing_key(&tx, &self.keys).await?;
            let member = Entity::find().filter(Column::Email.eq(email)).lock_shared().one(tx.conn()).await?;
            // It may have changed in the meantime.
            let member = genuine(&self.keys, member)
                .filter(|member| member.disabled_at.is_none() && member.password_hash.as_deref() == known);
            let Some(member) = member else { return Ok(SignIn::Refused(None)) };
            attempts::succeed(&tx, counters).await?;
            Ok(SignIn::Begun(Box::new(self.sessions.begin(&tx, member, How::Password, client).await?)))
        });
        begin.await
    }

    /// Records what a mutation does to a member.
    fn record_change(&self, tx: &Tx, member: &Model, change: &str) {
        audit::record_change(tx, self.clock.now(), || subject(member), change);
    }

    async fn count_attempt(&self, counters: &Counters) -> Result<Option<i64>> {
        let now = self.clock.now();
        self.db.write(|tx| async move { attempts::count(&tx, counters, now).await }).await
    }

    /// Whether somebody with this address has signed in with a password in this browser.
    pub fn knows(&self, email: &str, client: &Client) -> bool {
        self.known_browser(&key_of(email), client).is_some()
    }

    fn known_browser<'a>(&self, email: &str, client: &'a Client) -> Option<&'a str> {
        browsers::known(&self.keys, email, client.browser.as_deref()?)
    }

    /// Changes the password of a member, who knows the current one, and ends the member's other sessions.
    pub async fn change_password(&self, id: Uuid, session: Uuid, current: &str, new: &str) -> Result<()> {
        let member = self.find(id).await?.ok_or_else(not_found)?;
        passwords::check(new, member.email.as_deref(), "newPassword")?;
        let counters = &Counters::of_member(id);
        if self.count_attempt(counters).await?.is_some() {
            return Err(Refusal::invalid("There were too many attempts; try again later.", ["currentPassword"]).into());
        }
        let known = member.password_hash.as_deref();
        if !self.passwords.verify(current, known).await? {
            return Err(Refusal::invalid("This is not your password.", ["currentPassword"]).into());
        }
        let hash = &self.passwords.hash(new).await?;
        let change = self.db.write(|tx| async move {
            let key = sealing_key(&tx, &self.keys).await?;
            let member = self.locked(&tx, id).await?;
            if member.password_hash.as_deref() != known {
                return Err(Refusal::invalid("The password was changed in the meantime.", ["currentPassword"]).into());
            }
            attempts::succeed(&tx, counters).await?;
            self.set_password(&tx, &key, member, hash.clone(), Some(session)).await.map(drop)
        });
        change.await?;
        self.sessions.forget();
        Ok(())
    }

    /// Stores a password. Ends all sessions but one, and makes the member's links invalid.
    pub(super) async fn set_password(
        &self,
        tx: &Tx,
        key: &SecretKey,
        member: Model,
        hash: String,
        kept: Option<Uuid>,
    ) -> Result<Model> {
        self.record_change(tx, &member, "");
        self.sessions.end_others(tx, member.id, kept).await?;
        delete_links(tx, &member).await?;
        signed::update::<Entity>(tx, key, Model { password_hash: Some(hash), ..member }).await
    }

    /// Creates a member, and a link with which the member sets a password.
    pub async fn create(&self, new: &NewMember) -> Result<(Model, Link)> {
        let (name, email) = (check_name(&new.name)?, check_email(&new.email)?);
        let row = &self.row(name, email, new.role, None);
        let create = self.db.write(|tx| async move {
            let key = self.alone(&tx).await?;
            let member = self.insert(&tx, &key, row.clone()).await?;
            self.record_change(&tx, &member, &format!("Role: {}.", member.role.to_value()));
            let link = self.link(&tx, &key, Purpose::SetPassword, Some(member.id)).await?;
            Ok((member, link))
        });
        Box::pin(create).await
    }

    pub(super) fn row(&self, name: String, email: String, role: Role, password_hash: Option<String>) -> Model {
        let (id, created_at) = (Uuid::now_v7(), self.clock.now());
        let email = Some(email);
        Model { id, name, email, role, password_hash, created_at, disabled_at: None, signature: None }
    }

    pub(super) async fn insert(&self, tx: &Tx, key: &SecretKey, row: Model) -> Result<Model> {
        if Entity::find().filter(Column::Email.eq(row.email.clone())).one(tx.conn()).await?.is_some() {
            let message = "Another member has this address.";
            return Err(Refusal::new(RefusalCode::EmailTaken, message).at(["email"]).into());
        }
        signed::insert::<Entity>(tx, key, row).await
    }

    /// Changes a member. Another role, and disabling, end the member's sessions.
    ///
    /// # Errors
    /// A refusal, also if no administrator would be left who can sign in.
    pub async fn update(&self, id: Uuid, change: &Change) -> Result<Model> {
        let name = &change.name.as_deref().map(check_name).transpose()?;
        let update = self.db.write(|tx| async move {
            let key = self.alone(&tx).await?;
            let old = self.locked(&tx, id).await?;
            let disabled_at = match change.disabled {
                Some(true) => old.disabled_at.or(Some(self.clock.now())),
                Some(false) => None,
                None => old.disabled_at,
            };
            let role = change.role.unwrap_or(old.role);
            let name = name.clone().unwrap_or_else(|| old.name.clone());
            let loses = role != Role::Admin || disabled_at.is_some();
            if loses && self.sessions.is_last_admin(&tx, &old).await? {
                let message =
                    "This is the last administrator who can sign in. Add another one first, who has to set a password.";
                return Err(Refusal::new(RefusalCode::LastAdministrator, message).into());
            }
            if role != old.role || disabled_at.is_some() {
                self.sessions.end_others(&tx, id, None).await?;
            }
            if disabled_at.is_some() {
                delete_links(&tx, &old).await?;
            }
            let new = Model { name, role, disabled_at, ..old.clone() };
            self.record_change(&tx, &new, &difference(&old, &new));
            signed::update::<Entity>(&tx, &key, new).await
        });
        let member = Box::pin(update).await?;
        self.sessions.forget();
        Ok(member)
    }

    /// Takes away everything with which a member signs in: the password, the accounts at identity providers, the sessions
    /// and the personal tokens. Returns a link with which the member sets a new password.
    ///
    /// # Errors
    /// A refusal, also if no other administrator can sign in: the link could get lost.
    pub async fn reset(&self, id: Uuid) -> Result<(Model, Link)> {
        self.try_reset(id, true).await
    }

    /// The same on the machine of the server, where anybody can be reset.
    pub async fn reset_on_server(&self, id: Uuid) -> Result<(Model, Link)> {
        self.try_reset(id, false).await
    }

    async fn try_reset(&self, id: Uuid, keeps_last: bool) -> Result<(Model, Link)> {
        let reset = self.db.write(|tx| async move {
            let key = self.alone(&tx).await?;
            let member = self.locked(&tx, id).await?;
            if member.disabled_at.is_some() {
                return Err(not_allowed().into());
            }
            let sessions = &self.sessions;
            if keeps_last && sessions.can_sign_in(&tx, &member).await? && sessions.is_last_admin(&tx, &member).await? {
                let message =
                    "This is the last administrator who can sign in. Use `muster member reset` on the server.";
                return Err(Refusal::new(RefusalCode::LastAdministrator, message).into());
            }
            let change = "Everything with which the member signs in was taken away, and all sessions were ended.";
            self.record_change(&tx, &member, change);
            sessions.end_others(&tx, id, None).await?;
            delete_links(&tx, &member).await?;
            tokens::revoke_personal(&tx, &key, id, self.clock.now()).await?;
            let accounts = member_identity::Entity::delete_many().filter(member_identity::Column::MemberId.eq(id));
            accounts.exec(tx.conn()).await?;
            let member = signed::update::<Entity>(&tx, &key, Model { password_hash: None, ..member }).await?;
            let link = self.link(&tx, &key, Purpose::SetPassword, Some(id)).await?;
            Ok((member, link))
        });
        let reset = Box::pin(reset).await?;
        self.sessions.forget();
        Ok(reset)
    }

    /// The key that signs, with the row of the installation locked.
    pub(super) async fn alone(&self, tx: &Tx) -> Result<Arc<SecretKey>> {
        installation::lock(tx).await?;
        sealing_key(tx, &self.keys).await
    }

    /// The member, locked until the transaction ends.
    pub(super) async fn locked(&self, tx: &Tx, id: Uuid) -> Result<Model> {
        let row = Entity::find_by_id(id).lock_exclusive().one(tx.conn()).await?;
        genuine(&self.keys, row).ok_or_else(not_found)
    }

    pub async fn find(&self, id: Uuid) -> Result<Option<Model>> {
        Ok(genuine(&self.keys, Entity::find_by_id(id).one(self.db.read()).await?))
    }

    /// The member who signs in with this address.
    pub async fn id_of(&self, email: &str) -> Result<Uuid> {
        let found = Entity::find().filter(Column::Email.eq(key_of(email))).one(self.db.read()).await?;
        found.map(|member| member.id).ok_or_else(not_found)
    }

    /// One page of all members, in the order in which they were added.
    pub async fn page(&self, search: Option<&str>, after: Option<Uuid>, limit: u64) -> Result<Vec<Model>> {
        let page = found(search).filter(Column::Id.gt(after.unwrap_or_default()));
        Ok(page.order_by_asc(Column::Id).limit(limit).all(self.db.read()).await?)
    }

    /// Those of some members who can sign in with an account at the identity provider of the settings.
    pub async fn connected(&self, members: &[Uuid]) -> Result<HashSet<Uuid>> {
        let Some(issuer) = self.sessions.issuer.as_deref() else { return Ok(HashSet::new()) };
        let accounts = member_identity::Entity::find()
            .filter(member_identity::Column::Issuer.eq(issuer))
            .filter(member_identity::Column::MemberId.is_in(members.iter().copied()));
        Ok(accounts.all(self.db.read()).await?.into_iter().map(|account| account.member_id).collect())
    }

    /// How many there are, with `search` in the name or the address.
    pub async fn count(&self, search: Option<&str>) -> Result<u64> {
        Ok(found(search).count(self.db.read()).await?)
    }
}

/// Those with this text in the name or the address; all without a text.
fn found(search: Option<&str>) -> Select<Entity> {
    Entity::find().filter(any_contains([Column::Name, Column::Email], search))
}

/// Makes the links of a member invalid. Those of an administrator include the ones to become the first administrator.
pub(super) async fn delete_links(tx: &Tx, member: &Model) -> Result<()> {
    let mut links = member_link::Column::MemberId.eq(member.id);
    if member.role == Role::Admin {
        links = links.or(member_link::Column::Purpose.eq(Purpose::FirstAdmin));
    }
    member_link::Entity::delete_many().filter(links).exec(tx.conn()).await?;
    Ok(())
}

/// A member, as the audit log says what something is about.
pub(super) fn subject(member: &Model) -> Subject {
    Subject::member(member.id).named(&member.name)
}

/// What is different of a member, for the audit log.
fn difference(old: &Model, new: &Model) -> String {
    let mut told = Vec::new();
    if old.role != new.role {
        told.push(format!("Role: {} → {}.", old.role.to_value(), new.role.to_value()));
    }
    match (old.disabled_at, new.disabled_at) {
        (None, Some(_)) => told.push("Disabled.".to_owned()),
        (Some(_), None) => told.push("Enabled.".to_owned()),
        _ => {}
    }
    if old.name != new.name {
        told.push("Renamed.".to_owned());
    }
    if told.is_empty() { "Nothing is different.".to_owned() } else { told.join(" ") }
}

/// Equal for all spellings of an address.
fn key_of(email: &str) -> String {
    email.trim().to_lowercase()
}

/// A name from elsewhere, without what cannot be seen.
pub fn readable_name(text: &str) -> String {
    one_line(text, NAME)
}

pub(super) fn check_name(name: &str) -> Result<String, Refusal> {
    let name = name.trim();
    let is_joiner = |c: char| matches!(c, '\u{200C}' | '\u{200D}');
    if name.chars().all(is_joiner) || name.chars().count() > NAME || name.chars().any(is_deceptive) {
        let message = format!("A name has from 1 to {NAME} characters, none of them invisible.");
        return Err(Refusal::invalid(message, ["name"]));
    }
    Ok(name.to_owned())
}

pub(super) fn check_email(email: &str) -> Result<String, Refusal> {
    let parsed = email.parse::<EmailAddress>();
    parsed.map(|address| address.key()).map_err(|reason| Refusal::invalid(reason.to_string(), ["email"]))
}

fn not_found() -> Error {
    Refusal::new(RefusalCode::NotFound, "There is no such member.").into()
}

pub(super) fn not_allowed() -> Refusal {
    Refusal::new(
        RefusalCode::MemberDisabled,
        "This member is disabled. An administrator has to enable the member first.",
    )
}
