//! What members decide about single accounts: whose they are, what uses them, and who is responsible for them.

use entity::person_pin::{ActiveModel, Column, Entity, Model};
use entity::user::{self, AccountKind};
use entity::{account_owner, person, source_account};
use sea_orm::sea_query::OnConflict;
use sea_orm::{ActiveValue::Set, ColumnTrait, EntityTrait, IntoActiveModel, Iterable, QueryFilter};
use uuid::Uuid;

use super::lane::Lane;
use super::{People, not_found};
use crate::audit::{self, Subject};
use crate::db::Tx;
use crate::directory::erased::is_stand_in;
use crate::error::{Error, Refusal, RefusalCode, Result};

/// The most characters of a reason.
pub(super) const MAX_REASON: usize = 500;

/// Who decides, about which account.
#[derive(Clone, Debug)]
pub struct Decider {
    /// The name in histories.
    pub by: String,
    pub user: Uuid,
}

/// What a member decides about an account.
#[derive(Clone, Debug)]
pub enum Decision {
    /// It is this person's.
    Link { person: Uuid, reason: Option<String> },
    /// It is not that person's to whom it was given: the rules decide again. If nobody had given it, it is nobody's.
    Unlink { reason: Option<String> },
    /// The rules decide whose it is.
    Reset,
    /// What uses it; `None` to believe the application.
    Kind(Option<AccountKind>),
    /// Who is responsible for it; `None` for nobody.
    Owner(Option<Uuid>),
}

fn no_account() -> Error {
    Refusal::new(RefusalCode::NotFound, "There is no user with this id.").into()
}

impl Decision {
    fn check(&self) -> Result<()> {
        let reason = match self {
            Decision::Link { reason, .. } | Decision::Unlink { reason } => reason.as_deref().unwrap_or_default(),
            Decision::Reset | Decision::Kind(_) | Decision::Owner(_) => "",
        };
        if reason.chars().count() > MAX_REASON {
            let message = format!("A reason has at most {MAX_REASON} characters.");
            return Err(Refusal::invalid(message, ["reason"]).into());
        }
        Ok(())
    }

    /// For the audit log.
    fn detail(&self) -> &'static str {
        match self {
            Decision::Link { .. } => "The account was given to a person.",
            Decision::Unlink { .. } => "The account was taken from its person.",
            Decision::Reset => "The rules decide whose the account is.",
            Decision::Kind(_) => "The kind of the account was set.",
            Decision::Owner(_) => "The owner of the account was set.",
        }
    }

    /// Changes a pin accordingly.
    fn apply(&self, pin: &mut Model) {
        let given = |reason: &Option<String>| {
            let reason = reason.as_deref().map(str::trim).filter(|reason| !reason.is_empty());
            reason.map(str::to_owned)
        };
        match self {
            Decision::Link { person, reason } => {
                (pin.links, pin.person_id, pin.reason) = (true, Some(*person), given(reason));
            }
            Decision::Unlink { reason } => {
                let is_given = pin.links && pin.person_id.is_some();
                (pin.links, pin.person_id) = (!is_given, None);
                pin.reason = given(reason).filter(|_| !is_given);
            }
            Decision::Reset => (pin.links, pin.person_id, pin.reason) = (false, None, None),
            Decision::Kind(kind) => pin.kind = *kind,
            Decision::Owner(_) => {}
        }
    }
}

impl People {
    /// Carries out a decision about an account.
    pub async fn decide(&self, decider: &Decider, decision: &Decision) -> Result<()> {
        decision.check()?;
        let now = self.clock.now();
        self.db
            .write(|tx| async move {
                let mut lane = Lane::enter(&tx, now).await?;
                let row = lane.accounts(&[decider.user]).await?.pop().ok_or_else(no_account)?;
                if is_stand_in(&row.external_id) {
                    return Err(Refusal::invalid("The person of this account was erased.", ["userId"]).into());
                }
                if let Decision::Link { person, .. } | Decision::Owner(Some(person)) = decision {
                    exists(&tx, *person).await?;
                }
                match decision {
                    Decision::Owner(person) => lane.set_owner(&row, *person, &decider.by).await?,
                    Decision::Link { .. } | Decision::Unlink { .. } | Decision::Reset | Decision::Kind(_) => {
                        lane.pin(&row, decision, &decider.by).await?;
                    }
                }
                lane.relinked.insert(row.instance_id);
                lane.request_evaluations(now).await?;
                audit::record_change(&tx, now, || Subject::user(row.id), decision.detail());
                Ok(())
            })
            .await
    }
}

impl Lane<'_> {
    /// Changes what is decided about an account, and links it accordingly.
    async fn pin(&mut self, row: &user::Model, decision: &Decision, by: &str) -> Result<()> {
        let before = pin_of(self.tx, row).await?;
        let mut pin = before.clone().unwrap_or_else(|| none(row));
        decision.apply(&mut pin);
        (pin.decided_by, pin.decided_at) = (by.to_owned(), self.now);
        store(self.tx, &pin).await?;
        let linked = |pin: Option<&Model>| pin.map(|pin| (pin.links, pin.person_id)).unwrap_or_default();
        if linked(before.as_ref()) != linked(Some(&pin)) {
            disown(self.tx, row).await?;
        }
        self.look_at(&[row.id].into(), self.now).await
    }

    async fn set_owner(&mut self, row: &user::Model, person: Option<Uuid>, by: &str) -> Result<()> {
        let before = owner_of(self.tx, row).await?;
        if let Some(person_id) = person {
            let owner = account_owner::Model {
                instance_id: row.instance_id,
                external_id: row.external_id.clone(),
                person_id,
                decided_by: by.to_owned(),
                decided_at: self.now,
            };
            store_owner(self.tx, owner).await?;
        } else if before.is_some() {
            let key = (row.instance_id, row.external_id.clone());
            account_owner::Entity::delete_by_id(key).exec(self.tx.conn()).await?;
        }
        // Somebody may be known for nothing else any more.
        self.describe(before.into_iter().map(|owner| owner.person_id).collect()).await
    }
}

async fn exists(tx: &Tx, id: Uuid) -> Result<()> {
    if person::Entity::find_by_id(id).one(tx.conn()).await?.is_some() {
        return Ok(());
    }
    let refusal = Refusal::new(RefusalCode::NotFound, not_found().to_string());
    Err(refusal.at(["personId"]).into())
}

fn none(row: &user::Model) -> Model {
    Model {
        instance_id: row.instance_id,
        external_id: row.external_id.clone(),
        links: false,
        person_id: None,
        kind: None,
        decided_by: String::new(),
        decided_at: 0,
        reason: None,
    }
}

async fn pin_of(tx: &Tx, row: &user::Model) -> Result<Option<Model>> {
    Ok(Entity::find_by_id((row.instance_id, row.external_id.clone())).one(tx.conn()).await?)
}

async fn owner_of(tx: &Tx, row: &user::Model) -> Result<Option<account_owner::Model>> {
    Ok(account_owner::Entity::find_by_id((row.instance_id, row.external_id.clone())).one(tx.conn()).await?)
}

/// Stores a pin, unless it decides nothing.
async fn store(tx: &Tx, pin: &Model) -> Result<()> {
    if !pin.links && pin.kind.is_none() {
        let key = (pin.instance_id, pin.external_id.clone());
        Entity::delete_by_id(key).exec(tx.conn()).await?;
        return Ok(());
    }
    let row: ActiveModel = pin.clone().into_active_model();
    let columns = Column::iter().filter(|column| !matches!(column, Column::InstanceId | Column::ExternalId));
    Entity::insert(row)
        .on_conflict(OnConflict::columns([Column::InstanceId, Column::ExternalId]).update_columns(columns).to_owned())
        .exec_without_returning(tx.conn())
        .await?;
    Ok(())
}

async fn store_owner(tx: &Tx, owner: account_owner::Model) -> Result<()> {
    use account_owner::{ActiveModel, Column, Entity};
    let row: ActiveModel = owner.into_active_model();
    let columns = [Column::PersonId, Column::DecidedBy, Column::DecidedAt];
    Entity::insert(row)
        .on_conflict(OnConflict::columns([Column::InstanceId, Column::ExternalId]).update_columns(columns).to_owned())
        .exec_without_returning(tx.conn())
        .await?;
    Ok(())
}

/// An account of a source whose pin has changed belongs to nobody, until it is looked at.
async fn disown(tx: &Tx, row: &user::Model) -> Result<()> {
    let set = source_account::ActiveModel { person_id: Set(None), ..Default::default() };
    source_account::Entity::update_many()
        .set(set)
        .filter(source_account::Column::InstanceId.eq(row.instance_id))
        .filter(source_account::Column::ExternalId.eq(row.external_id.as_str()))
        .exec(tx.conn())
        .await?;
    Ok(())
}
